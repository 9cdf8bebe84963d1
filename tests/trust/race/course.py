"""A race: eight processes on one database, started together, and what they brought back."""

from __future__ import annotations

import math
import multiprocessing
import pickle
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import URL

from booking.services import verify
from booking.services.context import Actor
from tests.support.postgres import PostgresServer, database
from tests.trust.history.model import Model, Op
from tests.trust.race.board import Board
from tests.trust.race.client import MIXED, Client
from tests.trust.race.plants import Plant, planted
from tests.trust.race.track import RATIO, Scene, entered

CLIENTS = 8
KINDS = ("PostgreSQL", "SQLite")
PATIENCE = 3600.0
_context = multiprocessing.get_context("forkserver")
"""Real processes, each forked from one that has imported everything and connected to nothing."""


@dataclass(frozen=True)
class Plan:
    """What the clients of one race shall do."""

    url: str
    people: dict[str, Actor]
    scene: Scene
    seed: int
    attempts: int
    """Of each client."""
    seconds: float = math.inf
    """After which no client begins another, unless it has made less than the least."""
    least: int = 0
    clients: int = CLIENTS
    plant: Plant = Plant.NONE
    mixture: Mapping[str, int] = field(default_factory=lambda: MIXED)
    run: Callable[[Client, Plan, Any], None] | None = None
    """What a client does instead of :func:`run_mixed`; given the barrier too."""


@dataclass
class Outcome:
    """What all clients brought back."""

    counts: Counter[str] = field(default_factory=Counter)
    ops: list[Op] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What was neither an answer nor a refusal."""


def models(scene: Scene) -> dict[str, Model]:
    """Each pool as the race finds it."""
    return {name: Model((cores,) * scene.hours, RATIO) for name, cores in scene.pools.items()}


def run_mixed(client: Client, plan: Plan, _: Any) -> None:
    """Draw from the mixture; a quarter of all bookings comes under a key that others use as well."""
    rng = random.Random(f"{plan.seed} {client.number}")
    acts, weights = list(plan.mixture), list(plan.mixture.values())
    ends = time.monotonic() + plan.seconds
    for number in range(plan.attempts):
        if number >= plan.least and time.monotonic() > ends:
            break
        what = rng.choices(acts, weights)[0]
        if what == "book" and rng.random() < 0.25:
            key = f"{plan.seed}/{number // 10}"
            client.act(what, random.Random(key), key)
        else:
            client.act(what, rng)


def race(plan: Plan) -> Outcome:
    """Run it on a database that :func:`prepared` has prepared."""
    board, barrier = Board(_context, plan.clients), _context.Barrier(plan.clients)
    _context.set_forkserver_preload([__name__])
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            _context.Process(target=_child, args=(plan, number, board, barrier, folder), daemon=True)
            for number in range(plan.clients)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(PATIENCE)
        for number, process in enumerate(processes):
            brought = Path(folder) / str(number)
            if process.exitcode != 0 or not brought.exists():
                process.kill()
                outcome.errors.append(f"client {number} ended with {process.exitcode} and brought nothing")
                continue
            counts, ops, errors = pickle.loads(brought.read_bytes())
            outcome.counts += counts
            outcome.ops += ops
            outcome.errors += errors
    return outcome


def _child(plan: Plan, number: int, board: Board, barrier: Any, folder: str) -> None:
    with planted(plan.plant), entered(plan.url, plan.plant) as ctx:
        client = Client(ctx, number, plan.people, board, plan.scene)
        try:
            barrier.wait(120)
            (plan.run or run_mixed)(client, plan, barrier)
            if plan.plant is Plant.NONE:
                # With the cache of timelines that this process has kept all along.
                client.errors += [f"client {number}, at the end: {text}" for text in verify.differences(ctx)]
        except BaseException:  # noqa: BLE001  # it is told to the parent
            client.errors.append(traceback.format_exc(limit=-5))
        (Path(folder) / str(number)).write_bytes(pickle.dumps((client.counts, client.ops, client.errors)))


@contextmanager
def databases(kind: str) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """A server of that kind; each call makes an empty database, whose address it gives."""
    if kind == "SQLite":
        yield _sqlite
        return
    with PostgresServer() as server:
        yield lambda: _postgres(server.url)


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        yield f"sqlite:///{folder}/booking.db"


@contextmanager
def _postgres(server: URL) -> Iterator[str]:
    with database(server, f"race_{uuid4().hex}") as url:
        yield url.render_as_string(hide_password=False)


def _memory() -> str | None:
    """Commits are synced; what a disk takes for that would be most of the race."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
