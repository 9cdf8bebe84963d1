"""What must be true when the faults have stopped, whoever was told what."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from datetime import datetime
from itertools import pairwise

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import LIVE, State
from booking.models import Account, Booking, Work
from tests.e2e.service import PROGRAM, environment
from tests.trust.chaos.clients import Crowd, Told
from tests.trust.chaos.killing import Wounds
from tests.trust.chaos.stage import TERM_SECONDS, Stage
from tests.trust.proof import Finding

SETTLE_SECONDS = 60.0
LATE_SECONDS = 5.0
_LEADS = re.compile(r"^(\S+ \S+) INFO \S+: leading with epoch (\d+)(?: \[.*\])?$", re.MULTILINE)
_SETTLED = {
    True: {State.CANCELLED, State.ENDED},
    False: {State.CONFIRMED, State.ACTIVE, State.HELD, State.EXPIRED},
}
"""By whether it was cancelled: where a reservation may stand at the end."""


def judge(finding: Finding, stage: Stage, crowd: Crowd, wounds: Wounds) -> None:
    """Hold the installation to everything that was told."""
    took = _settle(stage)
    finding.show(
        "seconds until all was settled", round(took, 1), f"<= {SETTLE_SECONDS:.0f}", took <= SETTLE_SECONDS
    )
    rows = compare(finding, stage, crowd)
    _clusters(finding, stage, rows, wounds)
    verified(finding, stage)


def compare(finding: Finding, stage: Stage, crowd: Crowd) -> dict[str, Booking]:
    """Hold every booking to what its owner was told; all rows by id."""
    rows = stage.site.ctx.db.read("judge", _bookings)
    known = {told.id for told in crowd.told}
    finding.zero("bookings lost after 201", len(known - set(rows)))
    finding.zero("bookings that nobody was told of", len(set(rows) - known))
    keys = Counter(row.title for row in rows.values())
    finding.zero("idempotency keys with two bookings", sum(count > 1 for count in keys.values()))
    wrong = [fault for told in crowd.told if told.id in rows for fault in unlike(told, rows[told.id])]
    finding.zero("bookings that are not as told", len(wrong))
    finding.faults += wrong[:5]
    return rows


def _bookings(session: Session) -> dict[str, Booking]:
    query = select(Booking).join(Account).where(Account.name == "crowd")
    rows = session.scalars(query.options(selectinload(Booking.reservations)))
    return {row.id: row for row in rows}


def unlike(told: Told, row: Booking) -> list[str]:
    """How a booking differs from what its owner was told."""
    found = []
    for reservation in row.reservations:
        name = f"booking {row.id} ({told})"
        if reservation.state not in _SETTLED[told.cancelled] or (
            told.held != (reservation.state in (State.HELD, State.EXPIRED)) and not told.cancelled
        ):
            found.append(f"{name} is {reservation.state}")
        elif not told.cancelled and reservation.end != datetime.fromisoformat(told.end):
            found.append(f"{name} ends at {reservation.end}")
    return found


def _settle(stage: Stage) -> float:
    """Wait until no cluster is on its way and nothing is due; how long that took."""

    def waits(session: Session) -> bool:
        moving = [
            reservation
            for booking in _bookings(session).values()
            for reservation in booking.reservations
            if reservation.state in (State.PREPARING, State.ENDING)
        ]
        due = select(Work.id).where(Work.done_at.is_(None), Work.due_at <= stage.site.ctx.clock.now())
        return bool(moving) or session.scalar(due.limit(1)) is not None

    began = time.monotonic()
    while stage.site.ctx.db.read("settle", waits) and time.monotonic() < began + SETTLE_SECONDS:
        time.sleep(0.2)
    return time.monotonic() - began


def _clusters(finding: Finding, stage: Stage, rows: dict[str, Booking], wounds: Wounds) -> None:
    outside = NullProvisioner(stage.site.ctx.clock, stage.site.ctx.settings.home / "null")
    owners = {r.id: row for row in rows.values() for r in row.reservations}
    wanted = {r.id for row in rows.values() for r in row.reservations if r.state in LIVE}
    there = outside.inventory()
    finding.zero("clusters that nobody wants", len(there - wanted))
    finding.zero("clusters that are wanted and not there", len(wanted - there))
    made = [event for event in outside.events if event.kind == "created"]
    finding.show("clusters made", len(made), "> 0", bool(made))
    twice = Counter(event.reservation_id for event in made)
    finding.zero("clusters made twice", sum(count > 1 for count in twice.values()))
    late = sorted(
        event.at.timestamp() - due - wounds.without_database(due, event.at.timestamp())
        for event in made
        if (due := _due(owners[event.reservation_id])) is not None
    )
    if late:
        p99 = late[min(len(late) - 1, int(len(late) * 0.99))]
        most = f"<= {LATE_SECONDS:g}"
        finding.show("start lateness, p99, seconds with a database", round(p99, 2), most, p99 <= LATE_SECONDS)
        finding.show("start lateness, worst", round(late[-1], 2))
    _takeovers(finding, stage, wounds)


def _due(booking: Booking) -> float | None:
    """When its cluster was due, for one that began when it was booked."""
    begun = all(reservation.start <= booking.created_at for reservation in booking.reservations)
    return booking.created_at.timestamp() if begun else None


def leads(stage: Stage) -> list[tuple[float, int, int]]:
    """Every take-over as its schedulers tell it: when, the epoch, and which process."""
    found = []
    for number, scheduler in enumerate(stage.schedulers):
        for at, epoch in _LEADS.findall(scheduler.log):
            moment = datetime.strptime(at, "%Y-%m-%d %H:%M:%S,%f").astimezone()
            found.append((moment.timestamp(), int(epoch), number))
    return sorted(found)


def _takeovers(finding: Finding, stage: Stage, wounds: Wounds) -> None:
    """From the death of a leader to its successor's first act, without the time the database was away."""
    took = []
    for (_, _, number), (after, _, _) in pairwise(leads(stage)):
        died = wounds.scheduler_kills.get(stage.schedulers[number].process.pid)
        if died is not None and died < after:
            took.append(after - died - wounds.without_database(died, after))
    begun = len(leads(stage))
    finding.show("times that somebody began to lead", begun, "> 0", bool(begun))
    finding.show("leaders killed", len(took))
    if took:
        worst, bar = max(took), 3 * TERM_SECONDS
        finding.show(
            "take-over, worst, seconds with a database", round(worst, 2), f"<= {bar:g}", worst <= bar
        )


def verified(finding: Finding, stage: Stage) -> None:
    """Ask the service's own command whether everything agrees."""
    told = subprocess.run(
        [PROGRAM, "verify"],
        cwd=stage.folder,
        env=environment(stage.service.home, stage.service.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    said = (told.stdout + told.stderr).strip()
    finding.show("booking verify", said[:300], "all is well", told.returncode == 0)
