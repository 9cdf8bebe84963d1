"""What happens is measured where it happens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from booking.adapters.null import NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.span import Span
from booking.doors import Doors
from booking.errors import ConcurrentUpdate, NoCapacity
from booking.scheduler import Scheduler
from booking.services import audit, availability, leadership
from booking.services.availability import Question
from booking.services.context import Context
from booking.services.shelf import Shelf
from tests.metrics.told import counted
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, Site, make_site


@pytest.fixture
def here(doors: Doors) -> Site:
    site = make_site(doors)
    site.pool(cores=8)
    site.package("small", 4)
    return site


def read(site: Site, ctx: Context | None = None) -> None:
    availability.availability(ctx or site.ctx, Question(START, START + HOUR, granularity=Granularity.HOUR))


def test_a_booking_is_counted_by_what_was_decided(here: Site) -> None:
    ann = here.person("ann")
    accepted = counted("booking_decisions_total", outcome="accepted")
    refused = counted("booking_decisions_total", outcome="booking.no_capacity")
    span = Span(START + HOUR, START + 2 * HOUR)
    for _ in range(2):
        here.book(ann, "small", span)
    with pytest.raises(NoCapacity):
        here.book(ann, "small", span)
    assert counted("booking_decisions_total", outcome="accepted") == accepted + 2
    assert counted("booking_decisions_total", outcome="booking.no_capacity") == refused + 1


def test_the_wait_for_a_lock_is_measured(here: Site) -> None:
    kinds = ("pool", "database") if here.ctx.db.engine.dialect.name == "sqlite" else ("pool",)
    before = {kind: counted("booking_lock_wait_seconds_count", lock=kind) for kind in kinds}
    here.book(here.person("ann"), "small", Span(START + HOUR, START + 2 * HOUR))
    for kind in kinds:
        assert counted("booking_lock_wait_seconds_count", lock=kind) > before[kind]


def test_a_race_that_is_lost_is_counted_by_its_transaction(here: Site) -> None:
    class Busy(Exception):
        sqlite_errorname = "SQLITE_BUSY"
        sqlstate = "40001"

    def lose(_: Session) -> None:
        raise OperationalError("SELECT", {}, Busy())

    before = counted("booking_lost_races_total", transaction="of the test")
    with pytest.raises(ConcurrentUpdate):
        here.ctx.db.run("of the test", lose)
    assert counted("booking_lost_races_total", transaction="of the test") == before + 5


def reads() -> dict[str, float]:
    sources = ("cached", "caught_up", "snapshot", "ledger")
    return {source: counted("booking_timeline_reads_total", source=source) for source in sources}


def test_the_ways_to_a_timeline_are_told_apart(here: Site, doors: Doors) -> None:
    ann, before = here.person("ann"), reads()
    fresh = Context(doors, here.ctx.settings)
    read(here, fresh)
    assert reads()["ledger"] == before["ledger"] + 1
    read(here, fresh)
    assert reads()["cached"] > before["cached"]
    generations = counted("booking_timeline_catch_up_generations_sum")
    for number in range(3):
        here.book(ann, "small", Span(START + number * HOUR, START + (number + 1) * HOUR))
    in_passing = counted("booking_timeline_catch_up_generations_sum")
    caught_up = reads()["caught_up"]
    read(here, fresh)
    assert reads()["caught_up"] == caught_up + 1
    assert counted("booking_timeline_catch_up_generations_sum") == in_passing + 3
    assert in_passing >= generations


def test_a_finished_answer_is_found_on_its_shelf() -> None:
    def counts() -> list[float]:
        return [counted("booking_shelf_reads_total", result=result) for result in ("made", "found")]

    shelf, before = Shelf(100_000), counts()
    for _ in range(3):
        assert shelf.get("key", lambda: "text") == "text"
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [1, 2]


def test_late_work_is_told_with_its_lateness(here: Site, clock: TestClock) -> None:
    start = START + 2 * HOUR
    here.book(here.person("ann"), "small", Span(start, start + HOUR))
    scheduler = Scheduler(here.ctx, NullProvisioner(clock), "test")
    scheduler.tick()
    name, labels = "booking_work_lateness_seconds", {"action": "provision"}
    before = counted(f"{name}_sum", **labels), counted(f"{name}_count", **labels)
    lead = timedelta(minutes=here.ctx.settings.lead_minutes)
    clock.set(start - lead + timedelta(seconds=7))
    scheduler.tick()
    assert counted(f"{name}_count", **labels) == before[1] + 1
    assert counted(f"{name}_sum", **labels) == pytest.approx(before[0] + 7)


def test_a_tick_tells_whether_it_led_and_an_audit_how_it_ended(
    here: Site, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ticks() -> list[float]:
        return [counted("booking_tick_seconds_count", outcome=o) for o in ("led", "stood_by", "failed")]

    begun, passed = ticks(), counted("booking_audits_total", result="passed")
    first, second = (Scheduler(here.ctx, NullProvisioner(clock), name) for name in "ab")
    assert first.tick()
    assert counted("booking_scheduler_leads") == 1
    assert counted("booking_audits_total", result="passed") == passed + 1
    assert counted("booking_audit_last_timestamp_seconds") == clock.now().timestamp()
    assert not second.tick()
    assert counted("booking_scheduler_leads") == 0

    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(leadership, "lead", fail)
    first.beat()
    assert [after - before for after, before in zip(ticks(), begun, strict=True)] == [1, 1, 1]


def test_an_audit_that_finds_a_fault_has_failed(here: Site, clock: TestClock) -> None:
    failed = counted("booking_audits_total", result="failed")
    cut = "UPDATE inventory SET cores = 1"
    here.book(here.person("ann"), "small", Span(START + HOUR, START + 2 * HOUR))
    here.ctx.db.run("cut", lambda session: session.execute(text(cut)))
    Scheduler(here.ctx, NullProvisioner(clock), "test").tick()
    assert audit.closed(here.ctx)
    assert counted("booking_audits_total", result="failed") == failed + 1
