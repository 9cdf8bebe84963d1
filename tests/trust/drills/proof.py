"""The drills of operations: backup and restore, migrations under load, rolling restarts, the doctor."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from booking import migrate
from booking.config import Settings
from booking.doors import Db, Doors, SystemIds, open_engine
from booking.services import backup, restore
from booking.services.context import Context
from booking.services.verify import differences
from tests.drills.moving import REVISIONS, up_and_down
from tests.drills.rolling import roll
from tests.drills.ward import ILLNESSES, caught, ward
from tests.drills.world import inhabited, multiply
from tests.drills.yesterday import place, restore_yesterday
from tests.support.doors import TestClock
from tests.support.postgres import PostgresServer, database
from tests.trust.proof import Finding, Scale

PROMISE = (
    "A backup brings everything back, on either database, and ends nothing that runs; migrations lose no row, "
    "renewing the service fails no request, and the doctor finds every illness that was brought about."
)
_RENEWED = {"account", "journal", "pool"}
"""Tables of which a restore changes something on purpose."""


@dataclass(frozen=True)
class Size:
    """How much of each drill."""

    past: int
    """Bookings that are over, in the backup."""
    restarts: int
    rate: float
    """Requests in a second."""
    revisions: tuple[str, ...]
    kinds: tuple[str, ...]
    """Of clusters that run while an older backup is restored."""


SIZES = {
    Scale.QUICK: Size(50, 0, 0, (), ("null",)),
    Scale.SHORT: Size(3_000, 3, 20, tuple(REVISIONS[:-1]), ("null", "local")),
    Scale.FULL: Size(1_000_000, 20, 50, tuple(REVISIONS[:-1]), ("null", "local")),
}


def prove(scale: Scale, seed: int) -> Finding:
    finding, size = Finding(), SIZES[scale]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="booking-drills-")))
        server = stack.enter_context(PostgresServer()).url
        _backup(finding, folder, server, size)
        for kind in size.kinds:
            (folder / kind).mkdir()
            _yesterday(finding, folder / kind, kind)
        for revision in size.revisions:
            _moving(finding, folder, server, revision)
        if size.restarts:
            _rolling(finding, folder / "rolling", size)
        _doctor(finding, folder)
    if scale is not Scale.FULL:
        finding.remarks.append(
            f"Shortened: {size.past:,} past bookings instead of 1,000,000, {size.restarts} restarts at "
            f"{size.rate:g} requests a second instead of 20 at 50."
        )
    return finding


def _backup(finding: Finding, folder: Path, server: URL, size: Size) -> None:
    """There and back: from SQLite to PostgreSQL, and from PostgreSQL to SQLite."""
    for source, target in (("sqlite", "postgres"), ("postgres", "sqlite")):
        with _database(folder, server, source) as before, _database(folder, server, target) as after:
            site, _, over = inhabited(before.doors, _clock(before), before.clock.now())
            multiply(site, over, size.past)
            with (folder / f"{source}.zip").open("w+b") as file:
                rows = backup.write(before, file, "0").rows
                began = time.monotonic()
                restore.restore(after, backup.Archive(file))
                faults = differences(after)
                seconds = time.monotonic() - began
            name = f"{source} to {target}"
            finding.show(f"restored and verified, {name}: rows", rows)
            finding.show(f"restored and verified, {name}: seconds", round(seconds, 1), "300", seconds <= 300)
            finding.zero(f"differences after it, {name}", len(faults))
            finding.zero(f"tables that are not as they were, {name}", len(_unlike(before, after) - _RENEWED))
            same = _saved(before)[0] == _saved(before)[0]
            finding.show(f"a second backup is the same file, {source}", "yes" if same else "no", "yes", same)


@contextmanager
def _database(folder: Path, server: URL, kind: str) -> Iterator[Context]:
    """An empty database of that kind, migrated; its clock stands still."""
    ids, clock = SystemIds(), TestClock()
    with ExitStack() as stack:
        name = f"drill_{ids.new()}"
        url: str | URL = f"sqlite:///{folder / name}.db"
        if kind == "postgres":
            url = stack.enter_context(database(server, name))
        engine = open_engine(url)
        stack.callback(engine.dispose)
        migrate.upgrade(engine)
        yield Context(Doors(clock, ids, Db(engine, clock)), Settings())


def _clock(ctx: Context) -> TestClock:
    assert isinstance(ctx.clock, TestClock)
    return ctx.clock


def _saved(ctx: Context) -> tuple[str, dict[str, str]]:
    """The SHA-256 of a whole backup, and that of each of its tables."""
    with tempfile.TemporaryFile() as file:
        tables = backup.write(ctx, file, "0").tables
        file.seek(0)
        whole = hashlib.file_digest(file, "sha256").hexdigest()
    return whole, {table.name: table.sha256 for table in tables}


def _unlike(one: Context, other: Context) -> set[str]:
    """The tables whose hashes differ."""
    before, after = _saved(one)[1], _saved(other)[1]
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _yesterday(finding: Finding, folder: Path, kind: str) -> None:
    with place(folder, kind) as (site, outside):
        seen = restore_yesterday(site, outside)
    what = f"an older backup onto running clusters ({kind})"
    finding.zero(f"{what}: ended before it was told", len(seen.running - seen.paused))
    finding.zero(f"{what}: strays not listed", len((seen.running - seen.known) ^ seen.listed))
    finding.show(f"{what}: asks before it goes on", "yes" if seen.asked else "no", "yes", seen.asked)
    finding.zero(f"{what}: wrong once it was told", len(seen.ended ^ seen.known))
    finding.faults += seen.faults


def _moving(finding: Finding, folder: Path, server: URL, revision: str) -> None:
    with database(server, f"moving_{revision}") as url:
        for name, address in (
            ("SQLite", f"sqlite:///{folder / revision}.db"),
            ("PostgreSQL", url.render_as_string(hide_password=False)),
        ):
            moved = up_and_down(address, revision)
            what = f"{revision} to {REVISIONS[-1]} and back on {name}"
            finding.zero(f"rows lost, {what}, {moved.written} written meanwhile", len(moved.lost))


def _rolling(finding: Finding, folder: Path, size: Size) -> None:
    rolled = roll(folder, size.restarts, size.rate)
    finding.show("rolling restarts", rolled.restarts, str(size.restarts), rolled.restarts == size.restarts)
    finding.show("requests meanwhile", rolled.requests)
    finding.zero("requests that failed", len(rolled.failed))
    finding.show("slowest request, seconds", round(rolled.slowest, 2))
    finding.zero("clusters made twice meanwhile", sum(made != 1 for made in rolled.made))
    finding.faults += sorted(set(rolled.failed))[:5]


def _doctor(finding: Finding, folder: Path) -> None:
    found, model = [], folder / "model"
    model.mkdir()
    with ward(model) as healthy:
        finding.zero("illnesses found in a healthy installation", len(healthy.faults()))
    for number, check in enumerate(ILLNESSES):
        copied = Path(shutil.copytree(model, folder / f"ward{number}"))
        with ward(copied) as patient:
            found += [check] if caught(patient, check) else []
    what = f"{len(found)} of {len(ILLNESSES)}"
    finding.show("illnesses that the doctor finds", what, "all", len(found) == len(ILLNESSES))
    finding.faults += [f"the doctor does not find: {check}" for check in ILLNESSES if check not in found]
