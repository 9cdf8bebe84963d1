"""The audit: it sees what no promise would have allowed, closes the pool, and opens it when all is right again."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from booking import errors
from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.resources import Resources
from booking.allocator.span import Span, minute_of
from booking.models import Blackout, Journal, Ledger, Pool, Reservation
from booking.scheduler import Scheduler
from booking.services import audit, bookings, capacity, changes, leadership
from booking.services.capacity import Edit, Holding, OnConflict
from booking.services.changes import Change
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site

SPAN = Span(START + HOUR, START + 3 * HOUR)
LATER = Span(START + 5 * HOUR, START + 6 * HOUR)


@pytest.fixture
def full(site: Site) -> Site:
    """A pool whose cores are all booked for two hours."""
    site.pool(8)
    site.package("half", 4)
    for name in ("ann", "bob"):
        site.book(site.person(name), "half", SPAN)
    return site


def audited(site: Site) -> dict[str, str]:
    epoch = leadership.lead(site.ctx, "the auditor")
    assert epoch is not None
    return audit.audit(site.ctx, epoch)


def plant_a_third(site: Site, pool: str = "pool") -> None:
    """A claim that no promise made: a row, and nothing in the ledger."""

    def write(session: Session) -> None:
        of_pool = select(Reservation).join(Pool, Pool.id == Reservation.pool_id).where(Pool.name == pool)
        model = session.scalars(of_pool).first()
        assert model is not None
        values = {c.name: getattr(model, c.name) for c in Reservation.__table__.columns} | {"id": "planted"}
        session.add(Reservation(**values))

    site.ctx.db.run("plant", write)


def pull_it_up(site: Site) -> None:
    site.ctx.db.run("pull up", lambda s: s.execute(delete(Reservation).where(Reservation.id == "planted")))


def test_a_full_pool_is_right(full: Site) -> None:
    assert audited(full) == {}
    assert audit.closed(full.ctx) == {}


def test_an_oversold_hour_closes_the_pool_until_it_is_gone(full: Site) -> None:
    plant_a_third(full)
    start, end = SPAN.start.isoformat(), SPAN.end.isoformat()
    assert audited(full) == {"pool": f"cores oversold by 4 from {start} to {end}"}
    assert audit.closed(full.ctx).keys() == {"pool"}
    with pytest.raises(errors.Closed):
        full.book(full.person("cat"), "half", LATER)
    pull_it_up(full)
    assert audited(full) == {}
    full.book(full.person("cat"), "half", LATER)
    rows = full.ctx.db.read("journal", lambda s: s.scalars(select(Journal.action).order_by(Journal.at)).all())
    assert [action for action in rows if action in ("pool.closed", "pool.opened")] == [
        "pool.closed",
        "pool.opened",
    ]


def test_each_pool_is_looked_at_and_only_the_one_at_fault_is_closed(full: Site) -> None:
    for name in ("another", "second", "zone"):
        full.pool(8, name=name)
    for name in ("eve", "fay"):
        full.book(full.person(name), "half", SPAN, pool="zone")
    plant_a_third(full, "zone")
    assert audited(full).keys() == {"zone"}
    assert audit.closed(full.ctx).keys() == {"zone"}
    full.book(full.person("cat"), "half", LATER, pool="pool")


def test_a_closed_pool_keeps_and_gives_back_but_promises_nothing(full: Site) -> None:
    ann = full.person("ann2")
    made = full.book(ann, "half", LATER)
    plant_a_third(full)
    audited(full)
    reservation = made.reservations[0]
    with pytest.raises(errors.Closed):
        changes.change(full.ctx, ann, made.id, Change(ends={reservation.id: LATER.end + HOUR}), None)
    bookings.cancel(full.ctx, ann, made.id)
    assert full.only(made.id).state is State.CANCELLED


def test_a_ledger_that_says_something_else_closes_the_pool(full: Site) -> None:
    def write(session: Session) -> None:
        pool = session.scalars(select(Pool)).one()
        pool.generation += 1
        start = minute_of(LATER.start)
        session.add(
            Ledger(
                pool_id=pool.id,
                generation=pool.generation,
                seq=0,
                side="reserved",
                start=start,
                end=start + 60,
                kind="cores",
                amount=-1,
            )
        )

    full.ctx.db.run("plant", write)
    at = LATER.start.isoformat()
    assert audited(full) == {"pool": f"the ledger differs from the rows on the reserved side at {at}"}


def test_claims_that_were_warned_about_are_no_fault(full: Site) -> None:
    holding = Holding(SPAN, Resources(cores=6), "a fan broke")
    capacity.edit(full.ctx, ROOT, Edit("pool", Blackout, None, holding, OnConflict.KEEP))
    assert audited(full) == {}
    full.ctx.db.run("unflag", lambda s: s.execute(update(Reservation).values(at_risk=False)))
    assert "oversold by 6" in audited(full)["pool"]


def test_hours_gone_by_are_no_fault(full: Site, clock: TestClock) -> None:
    plant_a_third(full)
    clock.set(SPAN.end)
    assert "oversold" not in audited(full).get("pool", "")


def test_a_scheduler_that_no_longer_leads_closes_nothing(full: Site) -> None:
    plant_a_third(full)
    with pytest.raises(leadership.Deposed):
        audit.audit(full.ctx, 7)
    assert audit.closed(full.ctx) == {}


def test_the_scheduler_audits_every_minute(
    full: Site, clock: TestClock, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = Scheduler(full.ctx, NullProvisioner(clock), "scheduler")
    scheduler.tick()
    plant_a_third(full)
    scheduler.tick()
    assert audit.closed(full.ctx) == {}
    clock.advance(timedelta(seconds=full.ctx.settings.audit_seconds))
    with caplog.at_level(logging.ERROR):
        scheduler.tick()
    assert audit.closed(full.ctx).keys() == {"pool"}
    assert "oversold by 4" in caplog.text


def test_the_database_refuses_a_second_promise_on_one_generation(
    full: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Two sessions without the lock: the second cannot write what it decided on an older state."""
    seen: list[int] = []

    def meanwhile(session: Session) -> None:
        pool = session.scalars(select(Pool)).one()
        seen.append(pool.generation)
        if len(seen) == 1:
            session.connection().exec_driver_sql("UPDATE pool SET generation = generation + 1")
        pool.generation += 1

    with caplog.at_level(logging.ERROR):
        full.ctx.db.run("decided too late", meanwhile)
    assert "'decided too late' was decided on an older state" in caplog.text
    assert seen[1] == seen[0]  # the first try was undone whole, and then made again
    assert len(seen) == 2
