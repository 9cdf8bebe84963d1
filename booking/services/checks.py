"""What the doctor looks at in the database, and in the outside as the database knows it."""

from __future__ import annotations

from datetime import timedelta
from operator import le
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking import migrate
from booking.allocator.lifecycle import LIVE
from booking.allocator.resources import Resources
from booking.allocator.span import EPOCH, floor_minute
from booking.errors import Unavailable
from booking.models import (
    Account,
    Cluster,
    ClusterPhase,
    Inventory,
    Leadership,
    Platform,
    Pledge,
    PledgePhase,
    Pool,
    Reservation,
    Work,
)
from booking.models.pledge import AT_RISK
from booking.services import audit, leadership, packages, pausing, verify, work
from booking.services.doctor import Check, Patient, some
from booking.services.pledging import CLAIMING

SKEW = timedelta(seconds=2)
_STUCK = timedelta(minutes=10)
_FAILED_OFTEN = 3
_DURABLE = {
    "sqlite": {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": "2"},
    "postgresql": {"SHOW fsync": "on", "SHOW full_page_writes": "on", "SHOW synchronous_commit": ""},
}
"""What each database must answer; where nothing is demanded, anything but `off`."""
_CLOCKS = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
}


def _reachable(patient: Patient) -> str | None:
    try:
        patient.ctx.db.read("reachable", lambda session: session.execute(text("SELECT 1")))
    except Unavailable as error:
        return str(error)
    return None


def _migrated(patient: Patient) -> str | None:
    found = migrate.current(patient.ctx.db.engine)
    return None if found == migrate.head() else f"it is at revision {found}, this release at {migrate.head()}"


def _writable(patient: Patient) -> str | None:
    def touch(session: Session) -> None:
        session.merge(Leadership(name="doctor", holder="", until=EPOCH, epoch=0, seen_at=EPOCH))

    patient.ctx.db.rehearse("writable", touch)
    return None


def _durable(patient: Patient) -> str | None:
    def read(session: Session) -> str | None:
        for question, wanted in _DURABLE[session.connection().dialect.name].items():
            answer = str(session.execute(text(question)).scalar_one())
            if (wanted and answer != wanted) or answer == "off":
                return f"{question.split()[-1]} is {answer}: what was promised could be lost with the power"
        return None

    return patient.ctx.db.read("durable", read)


def _whole(patient: Patient) -> str | None:
    def read(session: Session) -> str | None:
        if session.connection().dialect.name != "sqlite":
            return None
        said = session.execute(text("PRAGMA integrity_check(3)")).scalars().all()
        return None if said == ["ok"] else "; ".join(said)

    return patient.ctx.db.read("whole", read)


def _clock(patient: Patient) -> str | None:
    def read(session: Session) -> timedelta:
        seconds = session.execute(text(_CLOCKS[session.connection().dialect.name])).scalar_one()
        return patient.ctx.clock.now() - (EPOCH + timedelta(seconds=float(seconds)))

    ahead = patient.ctx.db.read("clock", read)
    if abs(ahead) <= SKEW:
        return None
    return f"this machine's clock is {ahead.total_seconds():+.1f} s off the database's"


def _led(patient: Patient) -> str | None:
    return None if leadership.is_led(patient.ctx) else "no scheduler has led for three terms"


def _renewed(patient: Patient) -> str | None:
    seen = patient.ctx.db.read("term", lambda s: s.scalar(select(Leadership.seen_at)))
    term = timedelta(seconds=patient.ctx.settings.leadership_seconds)
    age = patient.ctx.clock.now() - (seen or EPOCH)
    return f"its term was renewed {age.total_seconds():.0f} s ago" if age > term else None


def _paused(patient: Patient) -> str | None:
    return pausing.reason(patient.ctx)


def _on_time(patient: Patient) -> str | None:
    oldest = work.oldest_due(patient.ctx)
    if oldest is None or oldest >= patient.ctx.clock.now() - work.LATE:
        return None
    return f"the oldest work has been due since {oldest.isoformat(timespec='seconds')}"


def _works(patient: Patient) -> str | None:
    query = select(Work.detail).where(Work.done_at.is_(None), Work.attempts >= _FAILED_OFTEN)
    faults = patient.ctx.db.read("failing work", lambda session: session.scalars(query).all())
    return f"{len(faults)} acts fail again and again: {faults[0]}" if faults else None


def _ending(patient: Patient) -> str | None:
    before = patient.ctx.clock.now() - _STUCK
    query = select(Cluster.reservation_id).where(
        Cluster.phase == ClusterPhase.STOPPING, Cluster.changed_at < before
    )
    return some("clusters do not end", patient.ctx.db.read("stuck", lambda s: s.scalars(query).all()))


def _orphans(patient: Patient) -> str | None:
    everywhere = (outside.listed().clusters for outside in patient.list_platforms())
    found = patient.provisioner.inventory().union(*everywhere)

    def read(session: Session) -> list[str]:
        known, judged = pausing.states(session, found), pausing.judged(session, found)
        return sorted(name for name in found - judged.keys() if known.get(name) not in LIVE)

    return some("clusters outside belong to nobody", patient.ctx.db.read("orphans", read))


def _agrees(patient: Patient) -> str | None:
    return some("differences", verify.differences(patient.ctx))


def _open(patient: Patient) -> str | None:
    return some("pools are closed", [f"{name}: {why}" for name, why in audit.closed(patient.ctx).items()])


def _owns(patient: Patient) -> str | None:
    now = floor_minute(patient.ctx.clock.now())
    query = select(Pool.name).where(~select(Inventory).where(_stands(now)).exists()).order_by(Pool.name)
    return some("pools have no inventory", patient.ctx.db.read("owns", lambda s: s.scalars(query).all()))


def _stands(now: Any) -> Any:
    return (Inventory.pool_id == Pool.id) & (Inventory.end > now)


def _fits(patient: Patient) -> str | None:
    """Whether each package fits into some pool at some moment to come."""
    now = floor_minute(patient.ctx.clock.now())

    def read(session: Session) -> list[str]:
        rows = session.scalars(select(Inventory).where(Inventory.end > now)).all()
        rooms = [
            sum((row.resources for row in rows if _beside(row, one)), Resources()).vector() for one in rows
        ]
        return [
            package.name
            for package in packages.current(session)
            if not any(all(map(le, package.demand.vector(), room)) for room in rooms)
        ]

    return some("packages fit into no pool", patient.ctx.db.read("fits", read))


def _beside(row: Inventory, one: Inventory) -> bool:
    """Whether a row stands at the moment at which the other begins: then the sum may be at its highest."""
    return row.pool_id == one.pool_id and row.start <= one.start < row.end


def _zones(patient: Patient) -> str | None:
    rows = patient.ctx.db.read("zones", lambda s: s.execute(select(Pool.name, Pool.timezone)).all())
    return some(
        "pools have an unknown time zone", [f"{row[0]}: {row[1]}" for row in rows if not is_zone(row[1])]
    )


def is_zone(name: str) -> bool:
    """Whether the zone data of this machine know that zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _governed(patient: Patient) -> str | None:
    query = select(Account.id).where(Account.is_admin, Account.disabled_at.is_(None)).limit(1)
    there = patient.ctx.db.read("administrators", lambda session: session.scalar(query))
    return None if there else "there is no administrator who could sign in"


def _platforms(patient: Patient) -> str | None:
    query = select(Platform.name, Platform.fault).where(Platform.fault.is_not(None)).order_by(Platform.name)
    rows = patient.ctx.db.read("platforms", lambda session: session.execute(query).all())
    return some("platforms do not answer as they should", [f"{name}: {fault}" for name, fault in rows])


def _pledges(patient: Patient) -> str | None:
    """Whether platforms have set aside what was promised, but for what was promised just now."""
    late = (Pledge.phase == PledgePhase.WANTED) & (Pledge.changed_at < patient.ctx.clock.now() - _STUCK)
    query = (
        select(Platform.name, Pledge.reservation_id, Pledge.detail)
        .join(Platform, Platform.id == Pledge.platform_id)
        .join(Reservation, Reservation.id == Pledge.reservation_id)
        .where(Pledge.phase.in_(AT_RISK) | late, Reservation.state.in_(CLAIMING))
        .order_by(Platform.name, Reservation.start)
    )
    rows = patient.ctx.db.read("pledges", lambda session: session.execute(query).all())
    return some("reservations have nothing set aside", [f"{row[1]} on {row[0]}: {row[2]}" for row in rows])


_DATABASE, _TABLES = "database reachable", "database migrated"
CHECKS = (
    Check(_DATABASE, _reachable, "start the database; `booking config` shows BOOKING_DATABASE_URL"),
    Check(_TABLES, _migrated, "booking init", _DATABASE),
    Check("database writable", _writable, "free the disk, or make the database writable", _TABLES),
    Check(
        "database durable", _durable, "set fsync, full_page_writes and synchronous_commit to on", _DATABASE
    ),
    Check("database whole", _whole, "booking restore FILE --force", _DATABASE),
    Check("clock", _clock, "timedatectl set-ntp true", _DATABASE),
    Check("scheduler leads", _led, "booking serve, or booking scheduler", _TABLES),
    Check("scheduler renews", _renewed, "look at its log: booking scheduler", "scheduler leads"),
    Check("scheduler works", _paused, "booking status, then booking resume", _TABLES),
    Check("work on time", _on_time, "look at the log of the scheduler", _TABLES),
    Check("work succeeds", _works, "look at the log of the scheduler", _TABLES),
    Check("clusters end", _ending, "booking bookings --all; look at the log of the scheduler", _TABLES),
    Check(
        "no orphans",
        _orphans,
        "booking status; the scheduler ends them, or booking resume --strays end",
        _TABLES,
    ),
    Check("rows agree", _agrees, "booking verify; restore the last good backup", _TABLES),
    Check("pools open", _open, "booking verify; the next audit opens a pool that is right again", _TABLES),
    Check("pools own something", _owns, "booking pool inventory add POOL --start DATE --cores N", _TABLES),
    Check(
        "packages fit", _fits, "booking package create NAME with a smaller size, or add inventory", _TABLES
    ),
    Check("pools' time zones", _zones, "pip install --upgrade tzdata", _TABLES),
    Check("an administrator", _governed, "booking account create NAME --admin", _TABLES),
    Check("platforms answer", _platforms, "booking platform check NAME", _TABLES),
    Check("pledges kept", _pledges, "booking platform show NAME; add hosts, or move bookings", _TABLES),
)
