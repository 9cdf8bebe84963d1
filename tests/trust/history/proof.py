"""Histories as a proof: what clients of a race were answered is what one client after another would have been."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.trust.history.blackbox import Undecided, linearizable
from tests.trust.history.episodes import HOURS, POOLS, run_episodes
from tests.trust.history.model import Model, Op
from tests.trust.history.plants import PLANTS
from tests.trust.history.witness import unexplained
from tests.trust.proof import Finding, Scale
from tests.trust.race.course import CLIENTS, KINDS, Plan, databases, race
from tests.trust.race.track import RATIO, prepared, scene

PROMISE = "What everybody was answered is what they would have been answered one after another."
MODEL = Model((POOLS["few"],) * HOURS, RATIO)


@dataclass(frozen=True)
class Length:
    """How many histories on each kind of database."""

    rounds: int
    histories: int
    seconds: float
    least: int
    clients: int = CLIENTS


LENGTHS = {
    Scale.QUICK: Length(1, 8, math.inf, 8, clients=4),
    Scale.SHORT: Length(1, 400, 45, 20),
    Scale.FULL: Length(13, 400, math.inf, 5000),
}
_MORE = 9
"""Further rounds where no history so far had a place for one of the plants."""
_MOST_PLANTED = 200
"""Of each kind of plant."""


def prove(scale: Scale, seed: int) -> Finding:
    finding, length = Finding(), LENGTHS[scale]
    for kind in KINDS:
        _kind(finding, kind, length, seed)
    finding.remarks.append(
        f"Each history: {length.clients} processes for a moment on {HOURS} hours of one pool. The witness check sorts "
        "by the generation that an answer carries; the black-box check looks for any order, after Wing and "
        "Gong, and does not look at generations. Both must also reject what was planted: a refused booking "
        "that is granted, two answers that change places, a look at what once was. The answers of the race "
        "go through the witness check too; see there."
    )
    if scale is not Scale.FULL:
        finding.remarks.append("Shortened; at full length it is at least 5,000 histories on each.")
    return finding


def _kind(finding: Finding, kind: str, length: Length, seed: int) -> None:
    tally: Counter[str] = Counter()
    with databases(kind) as new:
        for number in range(length.rounds + _MORE):
            if number >= length.rounds and all(tally[name] for name in PLANTS):
                break
            with new() as url:
                where = replace(scene(), pools=POOLS, hours=HOURS)
                people = prepared(url, where, CLIENTS)
                plan = Plan(url, people, where, seed * 1000 + number, length.histories)
                outcome = race(
                    replace(
                        plan,
                        run=run_episodes,
                        seconds=length.seconds,
                        least=length.least,
                        clients=length.clients,
                    )
                )
            finding.faults += [f"{kind}: {error}" for error in outcome.errors[:5]]
            _check(finding, kind, outcome.ops, tally)
    enough = tally["histories"] >= length.least
    finding.show(f"{kind}: histories", tally["histories"], f"at least {length.least:,}", enough)
    finding.show(f"{kind}: answers in them", tally["answers"])
    finding.show(f"{kind}: answers in the longest", tally["longest"])
    for name in ("that the witness does not explain", "that no order explains", "undecided"):
        finding.zero(f"{kind}: histories {name}", tally[name])
    for name in PLANTS:
        planted = tally[name]
        for check in ("witness", "black box"):
            rejected = tally[f"{name} {check}"]
            said = f"{kind}: planted {name}, rejected by the {check}"
            finding.show(said, rejected, f"all {planted}, more than 0", rejected == planted > 0)


def _check(finding: Finding, kind: str, ops: Sequence[Op], tally: Counter[str]) -> None:
    histories: defaultdict[str, list[Op]] = defaultdict(list)
    for op in ops:
        histories[op.pool].append(op)
    for history in histories.values():
        tally["histories"] += 1
        tally["answers"] += len(history)
        tally["longest"] = max(tally["longest"], len(history))
        wrong = _witness(history)
        tally["that the witness does not explain"] += wrong
        unordered = not _black_box(history, tally)
        tally["that no order explains"] += unordered
        if wrong or unordered:
            finding.faults.append(f"{kind}: {unexplained(history, {history[0].pool: MODEL}) or history}")
        _plant(history, tally)


def _plant(history: Sequence[Op], tally: Counter[str]) -> None:
    for name, plant in PLANTS.items():
        wrong = plant(history, MODEL) if tally[name] < _MOST_PLANTED else None
        if wrong is not None:
            tally[name] += 1
            tally[f"{name} witness"] += _witness(wrong)
            tally[f"{name} black box"] += not _black_box(wrong, tally)


def _witness(history: Sequence[Op]) -> bool:
    """Whether the witness check rejects it."""
    return bool(unexplained(history, {history[0].pool: MODEL}))


def _black_box(history: Sequence[Op], tally: Counter[str]) -> bool:
    try:
        return linearizable(history, MODEL)
    except Undecided:
        tally["undecided"] += 1
        return True
