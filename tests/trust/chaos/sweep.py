"""Every route and page, with the database lost at each of its statements in turn."""

from __future__ import annotations

import logging
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.security.matrix import SAFE, Caller, Kind, ask, callers
from tests.security.table import TABLE, Role, Row, is_api
from tests.security.world import World, open_world


@dataclass
class Outage:
    """The database is lost at one statement or commit of a request, and stays away for the rest of it."""

    at: int = 0
    """At which; 0 is never."""
    seen: int = 0

    def step(self, *_: Any) -> None:
        self.seen += 1
        if self.at and self.seen >= self.at:
            raise OperationalError("", {}, sqlite3.OperationalError("the connection is lost"))


@contextmanager
def _outage(world: World) -> Iterator[Outage]:
    outage, engine = Outage(), world.ctx.db.engine
    for name in ("before_cursor_execute", "commit"):
        event.listen(engine, name, outage.step)
    yield outage
    for name in ("before_cursor_execute", "commit"):
        event.remove(engine, name, outage.step)


@contextmanager
def _quiet() -> Iterator[None]:
    """Every outage is told in the log; thousands of them are no news."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@dataclass
class Swept:
    """What the sweep showed."""

    routes: int = 0
    outages: int = 0
    faults: list[str] = field(default_factory=list)


def sweep(seed: int, share: float = 1.0, most: int = 1000) -> Swept:
    """Lose the database at every statement of every request, or at a share of them that the seed draws.

    At most so many routes, the first by name.
    """
    found, dice = Swept(), random.Random(f"{seed}/sweep")
    with TemporaryDirectory(prefix="booking-sweep-") as folder, open_world(Path(folder)) as world:
        people = callers(world)
        world.put_back("alive")
        with _outage(world) as outage, _quiet():
            for (method, path), row in sorted(TABLE.items())[:most]:
                caller = _who_may(people, path, row)
                found.routes += 1
                _one(world, outage, method, path, row, caller, found, dice, share)
    return found


def _who_may(people: list[Caller], path: str, row: Row) -> Caller:
    """Somebody for whom the request goes well, by the kind of credential that is usual there."""
    kind = Kind.BEARER if is_api(path) else Kind.SESSION
    fit = [
        caller
        for caller in people
        if caller.kind is kind and caller.role in row.who and set(row.rights) <= caller.rights | _all(caller)
    ]
    order = (Role.ADMIN, Role.OWNER, Role.KEEPER)
    return min(
        fit, key=lambda caller: (order.index(caller.role) if caller.role in order else 9, -len(caller.rights))
    )


def _all(caller: Caller) -> set[str]:
    return (
        {right for _, row in TABLE.items() for right in row.rights} if caller.kind is Kind.SESSION else set()
    )


def _one(
    world: World,
    outage: Outage,
    method: str,
    path: str,
    row: Row,
    caller: Caller,
    found: Swept,
    dice: random.Random,
    share: float,
) -> None:
    steps = _asked(world, outage, method, path, row, caller, 0, found)
    for at in range(1, steps + 1):
        if at == 1 or dice.random() < share:
            found.outages += 1
            _asked(world, outage, method, path, row, caller, at, found)


def _asked(
    world: World, outage: Outage, method: str, path: str, row: Row, caller: Caller, at: int, found: Swept
) -> int:
    """One request with the outage at one statement; how many statements it came to."""
    outage.at, outage.seen = at, 0
    with ask(world, method, path, row, caller) as answer:
        status, text = answer.status_code, answer.get_data(as_text=True)
    steps, outage.at = outage.seen, 0
    told = f"{method} {path}, lost at statement {at}: {status}"
    if status == 503 and at:
        if not answer.headers.get("Retry-After", "").isdigit():
            found.faults.append(f"{told} without Retry-After")
        if is_api(path) and answer.mimetype != "application/problem+json":
            found.faults.append(f"{told} without a problem document")
    elif status != row.ok:
        found.faults.append(f"{told}: {' '.join(text.split())[:160]}")
    if method not in SAFE:
        world.put_back("alive")
    return steps
