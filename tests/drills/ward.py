"""A healthy installation, and every illness that the doctor knows, to be brought about on purpose."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from sqlalchemy import Engine, event, text

from booking import migrate
from booking.adapters.base import Provisioner
from booking.adapters.local.containment import Containment
from booking.adapters.local.provisioner import LocalProvisioner
from booking.adapters.null import NullProvisioner
from booking.allocator.span import EPOCH, Span
from booking.cli import checks as machine
from booking.cli.backup import LAST
from booking.config import Settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.services import checks, doctor, leadership, pausing
from booking.services.context import Context
from tests.adapters.machine import ShiftedClock
from tests.support.site import HOUR, Site

MICROSECOND = timedelta(microseconds=1)


KNOWN = {check.name: check for check in (*machine.CHECKS, *checks.CHECKS)}


def _needed(name: str) -> set[str]:
    """A check, and those without which it is not made."""
    check = KNOWN.get(name)
    return set() if check is None else {name} | _needed(check.needs)


@dataclass
class Ward:
    """One installation under the doctor's eyes."""

    home: Path
    url: str
    engine: Engine
    settings: Settings
    outside: Provisioner
    doors: Doors
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        return Context(self.doors, self.settings)

    @property
    def site(self) -> Site:
        return Site(self.ctx)

    def faults(self, only: str = "") -> dict[str, str]:
        """What the doctor finds, by check; a check that could not be made is a fault without words."""
        wrong = machine.usable(self.environ)[1]
        wanted = _needed(only) if only else set(KNOWN)
        made = [check for name, check in KNOWN.items() if name in wanted]
        results = doctor.examine(doctor.Patient(self.ctx, lambda: self.outside), made)
        found = {one.name: one.fault or "" for one in results if one.fault != ""}
        return found | ({"settings": "; ".join(wrong)} if wrong else {})

    def say(self, *statements: str) -> None:
        """Change rows behind the service's back; `:now` is the present instant as it is stored."""
        now = (datetime.now(UTC) - EPOCH) // MICROSECOND
        with self.engine.begin() as connection:
            for statement in statements:
                known = {"now": now} if ":now" in statement else {}
                connection.execute(text(statement), known)


@contextmanager
def ward(folder: Path, url: str = "") -> Iterator[Ward]:
    """A healthy installation with a backup, a leader, a pool, a package, people and a booking.

    A folder that is a copy of another's is taken as it stands.
    """
    home, place = folder / "home", folder / "database"
    is_new = not home.exists()
    for each in (home, place):
        each.mkdir(mode=0o700, exist_ok=True)
    url = url or f"sqlite:///{place / 'booking.db'}"
    engine, clock = open_engine(url), SystemClock()
    settings = Settings(home=home, database_url=url, provisioner="null", port=0)
    doors = Doors(clock, SystemIds(), Db(engine, clock))
    healthy = Ward(home, url, engine, settings, NullProvisioner(clock), doors)
    if is_new:
        migrate.upgrade(engine)
        _furnish(healthy)
    leadership.lead(healthy.ctx, "ward")
    with mock.patch.object(os, "geteuid", return_value=1000):
        yield healthy
    engine.dispose()


def _furnish(ward: Ward) -> None:
    site, now = ward.site, datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    site.pool(8)
    site.package("half", 4)
    site.person("root", admin=True)
    site.book(site.person("ann"), "half", Span(now + 24 * HOUR, now + 25 * HOUR))
    key = ward.home / "secret_key"
    key.touch(mode=0o600)
    key.write_text(SystemIds().secret())
    _backed_up(ward, timedelta(hours=1))


def _backed_up(ward: Ward, ago: timedelta) -> None:
    note = {"at": (datetime.now(UTC) - ago).isoformat(), "file": str(ward.home / "secret_key")}
    (ward.home / LAST).write_text(json.dumps(note))


Illness = Callable[[Ward], Iterator[None]]
ILLNESSES: dict[str, Illness] = {}
"""By the check that must find it; each lasts as long as its generator stands."""


def illness(check: str) -> Callable[[Illness], Illness]:
    def register(bring: Illness) -> Illness:
        ILLNESSES[check] = bring
        return bring

    return register


def caught(ward: Ward, check: str) -> bool:
    """Whether the doctor names it while it lasts."""
    with contextmanager(ILLNESSES[check])(ward):
        return bool(ward.faults(check).get(check))


def _rows(check: str, *statements: str) -> None:
    """An illness of the rows."""

    def bring(ward: Ward) -> Iterator[None]:
        ward.say(*statements)
        yield

    ILLNESSES[check] = bring


_rows("scheduler leads", "UPDATE leadership SET seen_at = :now - 60000000")
_rows("scheduler renews", "UPDATE leadership SET seen_at = :now - 15000000")
_rows("work on time", "UPDATE work SET due_at = :now - 600000000")
_rows("work succeeds", "UPDATE work SET attempts = 5, detail = 'it does not answer'")
_rows("rows agree", "DELETE FROM work")
_rows("pools open", "UPDATE pool SET closed_reason = 'oversold'")
_rows("pools' time zones", "UPDATE pool SET timezone = 'Mars/Olympus'")
_rows("an administrator", "UPDATE account SET is_admin = false")
_rows(
    "clusters end",
    "INSERT INTO cluster (reservation_id, provisioner, phase, detail, attempts, endpoints, changed_at, look_at) "
    "SELECT id, 'null', 'stopping', '', 0, '[]', :now - 3600000000, :now FROM reservation",
)


_rows("platforms answer", "UPDATE platform SET fault = 'it does not answer'")
_rows(
    "pledges kept",
    "INSERT INTO pledge (reservation_id, platform_id, phase, revision, reference, binding, detail, attempts, "
    "changed_at, look_at) SELECT reservation.id, pool.platform_id, 'refused', 1, '', '{}', 'not enough hosts', 3, "
    ":now, :now FROM reservation JOIN pool ON pool.id = reservation.pool_id",
)


@illness("settings")
def misspelt(ward: Ward) -> Iterator[None]:
    ward.environ["BOOKING_PROT"] = "8000"
    yield


@illness("user")
def superuser(ward: Ward) -> Iterator[None]:
    with mock.patch.object(os, "geteuid", return_value=0):
        yield


@illness("home folder")
def open_home(ward: Ward) -> Iterator[None]:
    ward.home.chmod(0o755)
    yield


@illness("secret key")
def weak_key(ward: Ward) -> Iterator[None]:
    (ward.home / "secret_key").write_text("changeme")
    yield


@illness("secret key's file")
def open_key(ward: Ward) -> Iterator[None]:
    (ward.home / "secret_key").chmod(0o644)
    yield


@illness("database's file")
def open_database(ward: Ward) -> Iterator[None]:
    file = Path(str(ward.engine.url.database))
    file.chmod(0o644)
    file.parent.chmod(0o755)
    yield


@illness("disk space")
def full_disk(ward: Ward) -> Iterator[None]:
    with mock.patch("shutil.disk_usage", return_value=SimpleNamespace(free=2**20)):
        yield


@illness("database's disk")
def on_the_network(ward: Ward) -> Iterator[None]:
    table = ward.home / "mounts"
    file = Path(str(ward.engine.url.database)).resolve()
    table.write_text(f"22 1 8:1 / / rw - ext4 /dev/x rw\n40 22 0:40 / {file.parent} rw - nfs4 server:/x rw\n")
    with mock.patch.object(machine, "MOUNTS", table):
        yield


@illness("open files")
def few_files(ward: Ward) -> Iterator[None]:
    with mock.patch("resource.getrlimit", return_value=(64, 64)):
        yield


@illness("zone data")
def no_zones(ward: Ward) -> Iterator[None]:
    with mock.patch.object(machine, "is_zone", return_value=False):
        yield


@illness("port")
def taken_port(ward: Ward) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as other, mock.patch.object(machine, "_KNOCK_SECONDS", 0.1):
        ward.settings = replace(ward.settings, port=other.getsockname()[1])
        yield


@illness("containment")
def no_namespaces(ward: Ward) -> Iterator[None]:
    ward.settings = replace(ward.settings, provisioner="local")
    ward.outside = LocalProvisioner(ward.home, SystemClock(), containment=Containment.SUBREAPER)
    yield


@illness("cluster programs")
def no_jupyter(ward: Ward) -> Iterator[None]:
    ward.settings = replace(ward.settings, provisioner="local")
    ward.outside = LocalProvisioner(ward.home, SystemClock(), containment=Containment.USER_NAMESPACE)
    with mock.patch("importlib.util.find_spec", return_value=None):
        yield


@illness("last backup")
def old_backup(ward: Ward) -> Iterator[None]:
    _backed_up(ward, timedelta(days=2))
    yield


def _elsewhere(ward: Ward, engine: Engine) -> Iterator[None]:
    ward.doors = replace(ward.doors, db=Db(engine, ward.doors.clock))
    try:
        yield
    finally:
        engine.dispose()


@illness("database reachable")
def no_database(ward: Ward) -> Iterator[None]:
    return _elsewhere(ward, open_engine("sqlite:////nowhere/at/all/booking.db"))


@illness("database migrated")
def old_database(ward: Ward) -> Iterator[None]:
    migrate.downgrade(ward.engine, "0003")
    yield


@illness("database writable")
def read_only_database(ward: Ward) -> Iterator[None]:
    return _elsewhere(ward, open_engine(f"sqlite:///file:{ward.engine.url.database}?mode=ro&uri=true"))


@illness("database durable")
def unsynced_database(ward: Ward) -> Iterator[None]:
    engine = open_engine(ward.url)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return _elsewhere(ward, engine)


@illness("database whole")
def torn_database(ward: Ward) -> Iterator[None]:
    """An index is forgotten without its pages being given back."""
    ward.say("PRAGMA writable_schema=ON", "DELETE FROM sqlite_schema WHERE name = 'ix_journal_at'")
    ward.engine.dispose()
    yield


@illness("clock")
def fast_clock(ward: Ward) -> Iterator[None]:
    clock = ShiftedClock()
    clock.later = timedelta(seconds=3)
    shifted = SimpleNamespace(
        now=clock.now, monotonic=ward.doors.clock.monotonic, sleep=ward.doors.clock.sleep
    )
    ward.doors = replace(ward.doors, clock=shifted)
    yield


@illness("scheduler works")
def paused(ward: Ward) -> Iterator[None]:
    pausing.pause(ward.ctx, "restored")
    yield


@illness("no orphans")
def orphan(ward: Ward) -> Iterator[None]:
    assert isinstance(ward.outside, NullProvisioner)
    ward.outside.lose("orphan00000000000000")
    yield


@illness("pools own something")
def empty_pool(ward: Ward) -> Iterator[None]:
    ward.site.pool(0, name="empty")
    yield


@illness("packages fit")
def giant(ward: Ward) -> Iterator[None]:
    ward.site.package("giant", 64)
    yield
