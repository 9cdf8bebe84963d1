"""Demand that was refused is kept: once for each wish and hour, for a while, and never at the asker's cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.allocator.span import Span
from booking.doors import Doors
from booking.errors import NoCapacity, PolicyRefused, Refused
from booking.models import Pool, Refusal
from booking.services import bookings, capacity, housekeeping, refusals
from booking.services.context import Actor
from booking.services.decision import BookingRequest
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site, rendered

NEW = capacity.NewPool("", "UTC", Granularity.HOUR)
FIRST, SECOND = Span(START + HOUR, START + 3 * HOUR), Span(START + 24 * HOUR, START + 27 * HOUR)


@pytest.fixture
def full(site: Site) -> Site:
    """A pool of 8 cores of which nothing is left."""
    site.pool(8)
    site.package("whole", 8)
    site.package("half", 4)
    site.book(site.person("zoe"), "whole", Span(START, START + 72 * HOUR))
    return site


def noted(site: Site) -> Sequence[Refusal]:
    query = select(Refusal).order_by(Refusal.hour, Refusal.start, Refusal.package_name)
    return site.ctx.db.read("refusals", lambda session: session.scalars(query).all())


def refused(site: Site, who: Actor, package: str, *spans: Span, kind: type[Refused] = NoCapacity) -> None:
    with pytest.raises(kind):
        site.book(who, package, *spans)


def test_what_did_not_fit_is_kept_with_all_that_was_asked_for(full: Site) -> None:
    refused(full, full.person("ann"), "half", SECOND, FIRST)
    (row,) = noted(full)
    assert (row.account_id, row.package_name, row.sharing) == (
        full.person("ann").id,
        "half",
        Sharing.RESERVED,
    )
    assert (row.code, row.at, row.hour, row.times) == ("booking.no_capacity", START, START, 1)
    assert (row.start, row.end, row.core_minutes) == (FIRST.start, SECOND.end, 4 * (2 + 3) * 60)


def test_what_a_rule_forbids_is_kept_with_the_rule(full: Site) -> None:
    full.package("tiny", 1)
    refused(full, full.person("bob", level=0), "half", FIRST, kind=PolicyRefused)
    (row,) = noted(full)
    assert row.code == "policy.package_not_allowed"


@pytest.mark.parametrize(
    "traits, kind, pool", [(("gpu",), NoCapacity, "fast"), (("tape",), PolicyRefused, "pool")]
)
def test_it_is_kept_with_the_pool_that_has_what_was_wanted(
    full: Site, clock: TestClock, traits: tuple[str, ...], kind: type[Refused], pool: str
) -> None:
    clock.advance(timedelta(minutes=1))
    made = {
        "pool": full.ctx.db.read("pool", lambda session: session.scalars(select(Pool.id)).one()),
        "fast": capacity.make_pool(full.ctx, ROOT, replace(NEW, name="fast", traits=("gpu",))).id,
    }
    wanted = BookingRequest("half", Sharing.CUSTOM, (SECOND,), traits=traits)
    with pytest.raises(kind):
        bookings.book(full.ctx, full.person("ann"), wanted, rendered)
    assert [row.pool_id for row in noted(full)] == [made[pool]]


def test_the_same_again_within_the_hour_is_counted_and_the_most_of_it_kept(
    full: Site, clock: TestClock
) -> None:
    ann = full.person("ann")
    refused(full, ann, "half", FIRST, SECOND)
    refused(full, ann, "half", FIRST)
    clock.advance(timedelta(minutes=59))
    refused(full, ann, "half", FIRST)
    assert [(row.times, row.end, row.core_minutes) for row in noted(full)] == [(3, SECOND.end, 1200)]
    clock.advance(timedelta(minutes=1))
    refused(full, ann, "half", FIRST)
    assert [row.times for row in noted(full)] == [3, 1]


def test_another_account_package_or_start_is_another_refusal(full: Site) -> None:
    ann = full.person("ann")
    refused(full, ann, "half", FIRST)
    refused(full, ann, "whole", FIRST)
    refused(full, ann, "half", SECOND)
    refused(full, full.person("bob"), "half", FIRST)
    assert [row.times for row in noted(full)] == [1, 1, 1, 1]


def test_a_flood_of_one_account_ends_at_a_bound_and_what_is_known_goes_on_counting(
    full: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST_AN_HOUR", 3)
    ann = full.person("ann")
    for hour in range(5):
        refused(full, ann, "half", Span(START + hour * HOUR, START + (hour + 1) * HOUR))
    refused(full, ann, "half", Span(START, START + HOUR))
    refused(full, full.person("bob"), "half", FIRST)
    assert [row.times for row in noted(full)] == [2, 1, 1, 1]


def test_a_preview_a_fault_of_form_and_a_promise_leave_nothing(full: Site) -> None:
    ann = full.person("ann")
    with pytest.raises(NoCapacity):
        bookings.preview(full.ctx, ann, BookingRequest("half", Sharing.RESERVED, (FIRST,)))
    full.book(ann, "half", Span(START + 100 * HOUR, START + 101 * HOUR))
    assert noted(full) == []


def test_a_refusal_that_cannot_be_kept_is_still_told_and_logged(
    full: Site, doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    ann = full.person("ann")
    with doors.db.engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE refusal RENAME TO elsewhere")
        connection.commit()
    with caplog.at_level(logging.WARNING), pytest.raises(NoCapacity) as told:
        full.book(ann, "half", FIRST)
    assert told.value.alternatives
    assert "a refusal (booking.no_capacity) could not be kept" in caplog.text


def test_a_refusal_is_kept_outside_of_every_lock(full: Site, doors: Doors) -> None:
    ann = full.person("ann")
    sent: list[tuple[str, str]] = []

    def see(connection, _cursor, text: str, *_: object) -> None:  # type: ignore[no-untyped-def]
        sent.append((connection.info["transaction"], text))

    event.listen(doors.db.engine, "before_cursor_execute", see)
    refused(full, ann, "half", FIRST)
    own = [text for name, text in sent if name == "note refusal"]
    assert any(text.startswith("INSERT INTO refusal") for text in own)
    assert not any("FROM pool" in text and "FOR UPDATE" in text for text in own)
    assert not any("refusal" in text for name, text in sent if name == "book")


@pytest.mark.postgres  # SQLite has one writer at a time
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_the_same_refused_at_the_same_moment_is_counted_twice(
    full: Site, caplog: pytest.LogCaptureFixture
) -> None:
    ann, others = full.person("ann"), iter([1])
    request = BookingRequest("half", Sharing.RESERVED, (FIRST,))

    def note() -> None:
        refusals.note(full.ctx, ann, request, NoCapacity("nothing is left"))

    def be_quicker(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if text.startswith("INSERT INTO refusal") and next(others, None):
            note()

    event.listen(full.ctx.db.engine, "before_cursor_execute", be_quicker)
    note()
    (row,) = noted(full)
    assert row.times == 2
    assert caplog.records == []


def test_what_was_refused_long_ago_is_forgotten(full: Site, clock: TestClock) -> None:
    ann = full.person("ann")
    refused(full, ann, "half", FIRST)
    clock.advance(refusals.KEPT - HOUR)
    housekeeping.tidy(full.ctx)
    assert len(noted(full)) == 1
    clock.advance(HOUR)
    housekeeping.tidy(full.ctx)
    assert noted(full) == []
