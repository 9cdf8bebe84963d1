"""Short histories: all clients act on the same few hours for a moment, then together on the next."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.trust.race.client import Client
from tests.trust.race.course import Plan

MIXED = {"book": 45, "move": 22, "confirm": 8, "cancel": 15, "look": 10}
HOURS = 4
POOLS = {"few": 4}
PATIENCE = 300.0
"""Seconds that clients wait for one another."""
LONG_HOLDS = (3_600_000,)
"""Milliseconds: none expires, so that what the clock said is of no matter."""
_MOST_ACTS = (9, 9, 9, 9, 9, 9, 9, 9, 9, 24)
"""Of each client in one history: now and then it is a long one."""


def run_episodes(client: Client, plan: Plan, barrier: Any) -> None:
    """As many as the plan has attempts, or as there is time for; the pool of each is named with its number."""
    ends = time.monotonic() + plan.seconds
    client.holds = LONG_HOLDS
    acts, weights = list(MIXED), list(MIXED.values())
    for number in range(plan.attempts):
        barrier.wait(PATIENCE)
        if client.number == 0:
            client.board.clear()
            if number >= plan.least and time.monotonic() > ends:
                client.board.close()
        barrier.wait(PATIENCE)
        if client.board.closed:
            return
        client.first = number * HOURS
        noted = len(client.ops)
        rng = random.Random(f"{plan.seed} {number} {client.number}")
        for _ in range(rng.randint(2, _MOST_ACTS[number % len(_MOST_ACTS)])):
            client.act(rng.choices(acts, weights)[0], rng)
        client.ops[noted:] = [op._replace(pool=f"{op.pool} {number}") for op in client.ops[noted:]]
