"""What a platform asks about counts from then on; the next reading keeps it, or it lapses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from booking.adapters.base import Inquiry
from booking.adapters.base import Stranger as Seen
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.errors import (
    BeyondHorizon,
    Closed,
    Conflict,
    Forbidden,
    Invalid,
    NoCapacity,
    NotFound,
    PolicyRefused,
)
from booking.models import Journal, Pool, Stranger
from booking.services import bookings, levels, platforms, strangers
from booking.services.decision import BookingRequest
from booking.services.platforms import PlatformChange
from booking.services.strangers import LAPSES, grown
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site
from tests.support.stock import Cloud

MINUTE = timedelta(minutes=1)
AHEAD = Span(START + 2 * HOUR, START + 4 * HOUR)


@pytest.fixture
def cloud(site: Site, clock: TestClock) -> Cloud:
    made = Cloud(site, clock)
    made.pool()
    made.refresh()
    return made


def wanted(cores: int, span: Span = AHEAD, reference: str = "", **more: Any) -> Seen:
    return Seen(reference, span.start, span.end, cores, 0, **({"owner": "astro", "name": "run"} | more))


def admit(cloud: Cloud, *arguments: Any, ours: str = "", **more: Any) -> Seen:
    seen = wanted(*arguments, **more)
    strangers.admit(cloud.site.ctx, ROOT, "cloud", Inquiry(seen, ours))
    return seen


def rows(cloud: Cloud) -> list[Stranger]:
    query = select(Stranger).order_by(Stranger.start, Stranger.reference)
    return list(cloud.site.ctx.db.read("strangers", lambda session: session.scalars(query).all()))


def test_what_is_let_in_counts_at_once_and_the_reading_that_shows_it_keeps_it(cloud: Cloud) -> None:
    admit(cloud, 14)
    assert cloud.timeline() == [(0, 16, 0), (120, 16, 14), (240, 16, 0)]
    with pytest.raises(NoCapacity):
        cloud.site.book(cloud.ann, "half", AHEAD, pool="far")
    assert cloud.refresh() == 0
    assert cloud.timeline()[1] == (120, 16, 14)
    cloud.others = (wanted(14, reference="lease-1"),)
    cloud.refresh()
    (row,) = rows(cloud)
    assert (row.reference, row.owner, row.name, row.inquired_at) == ("lease-1", "astro", "run", None)
    cloud.clock.advance(2 * LAPSES)
    cloud.refresh()
    assert cloud.timeline()[1] == (120, 16, 14)
    assert cloud.well()


def test_what_never_came_lapses_but_only_by_a_reading_that_began_later(cloud: Cloud) -> None:
    admit(cloud, 14)
    cloud.clock.advance(LAPSES - MINUTE)
    cloud.refresh()
    assert len(rows(cloud)) == 1
    cloud.clock.advance(MINUTE)
    assert cloud.timeline()[1] == (120, 16, 14)
    cloud.refresh()
    assert rows(cloud) == []
    assert [segment[1:] for segment in cloud.timeline()] == [(16, 0)]
    assert cloud.well()


def test_it_counts_as_it_came_if_that_is_more_or_less(cloud: Cloud) -> None:
    admit(cloud, 8)
    cloud.others = (wanted(6, reference="lease-1"),)
    cloud.refresh()
    assert cloud.timeline()[1] == (120, 16, 6)
    assert len(rows(cloud)) == 1
    assert cloud.well()


def test_one_whose_owner_is_not_ours_to_read_is_known_by_its_span(cloud: Cloud) -> None:
    admit(cloud, 6)
    cloud.others = (wanted(8, reference="lease-1", owner="", name=""),)
    cloud.refresh()
    assert [row.reference for row in rows(cloud)] == ["lease-1"]
    assert cloud.timeline()[1] == (120, 16, 8)
    assert cloud.well()


def test_two_of_one_name_are_two(cloud: Cloud) -> None:
    admit(cloud, 8)
    admit(cloud, 8)
    with pytest.raises(NoCapacity, match="1 cores and 0 MiB are not free from Mon 07 Jan 11:00"):
        admit(cloud, 1)
    cloud.others = (wanted(8, reference="lease-1"), wanted(8, reference="lease-2"))
    cloud.refresh()
    assert [row.reference for row in rows(cloud)] == ["lease-1", "lease-2"]
    assert cloud.timeline()[1] == (120, 16, 16)
    assert cloud.well()


def test_a_change_counts_by_what_it_adds_and_what_shrinks_is_let_be(cloud: Cloud) -> None:
    cloud.others = (wanted(8, reference="lease-1"),)
    cloud.refresh()
    cloud.site.book(cloud.ann, "half", Span(AHEAD.end, AHEAD.end + HOUR), pool="far")
    cloud.site.book(cloud.ann, "half", Span(AHEAD.end, AHEAD.end + HOUR), pool="far")
    longer = Span(AHEAD.start, AHEAD.end + HOUR)
    with pytest.raises(NoCapacity):
        admit(cloud, 9, longer, "lease-1")
    admit(cloud, 8, longer, "lease-1")
    assert cloud.timeline() == [(0, 16, 0), (120, 16, 8), (240, 16, 16), (300, 16, 0)]
    cloud.refresh()
    assert cloud.timeline()[2] == (240, 16, 16)
    # Asked again, it is not counted twice.
    admit(cloud, 8, longer, "lease-1")
    assert cloud.timeline()[2] == (240, 16, 16)
    cloud.others = (wanted(8, longer, "lease-1"),)
    cloud.refresh()
    assert len(rows(cloud)) == 1
    assert cloud.timeline()[2] == (240, 16, 16)
    admit(cloud, 1, AHEAD, "lease-1")
    assert cloud.timeline()[2] == (240, 16, 16)
    assert cloud.well()


def test_a_change_that_never_came_lapses(cloud: Cloud) -> None:
    cloud.others = (wanted(8, reference="lease-1"),)
    cloud.refresh()
    admit(cloud, 10, Span(AHEAD.start - HOUR, AHEAD.end), "lease-1")
    assert cloud.timeline() == [(0, 16, 0), (60, 16, 10), (240, 16, 0)]
    cloud.clock.advance(LAPSES)
    cloud.refresh()
    assert [segment[1:] for segment in cloud.timeline()] == [(16, 0), (16, 8), (16, 0)]
    assert cloud.well()


def test_a_change_of_what_was_not_read_yet_belongs_to_its_inquiry(cloud: Cloud) -> None:
    admit(cloud, 10)
    later = Span(AHEAD.start, AHEAD.end + HOUR)
    admit(cloud, 10, later, "lease-1")
    assert cloud.timeline() == [(0, 16, 0), (120, 16, 10), (300, 16, 0)]
    cloud.others = (wanted(10, later, "lease-1"),)
    cloud.refresh()
    assert [row.reference for row in rows(cloud)] == ["lease-1"]
    assert cloud.timeline() == [(0, 16, 0), (120, 16, 10), (300, 16, 0)]
    assert cloud.well()


def test_what_nobody_knew_counts_as_a_whole_when_it_changes(cloud: Cloud) -> None:
    admit(cloud, 10, reference="lease-9")
    assert cloud.timeline()[1] == (120, 16, 10)


def test_what_ends_counts_no_more(cloud: Cloud) -> None:
    cloud.others = (wanted(8, reference="lease-1"), wanted(4, reference="lease-2"))
    cloud.refresh()
    admit(cloud, 12, reference="lease-1")
    gone = Inquiry(wanted(12, reference="lease-1"))
    for _ in range(2):
        strangers.ended(cloud.site.ctx, ROOT, "cloud", gone)
    assert cloud.timeline()[1] == (120, 16, 4)
    assert [row.reference for row in rows(cloud)] == ["lease-2"]
    assert cloud.well()


def test_strangers_keep_the_rules_of_their_level_each_owner_by_itself(cloud: Cloud) -> None:
    ctx = cloud.site.ctx
    levels.change(ctx, ROOT, 7, {"max_length": "PT3H", "max_concurrent": 1, "core_hours": 30})
    platforms.change(ctx, ROOT, "cloud", PlatformChange(stranger_level=7), lambda _: cloud.ports)
    with pytest.raises(PolicyRefused, match="3 hours long"):
        admit(cloud, 1, Span(AHEAD.start, AHEAD.start + 4 * HOUR))
    admit(cloud, 4)
    with pytest.raises(PolicyRefused, match="at the same time"):
        admit(cloud, 4)
    admit(cloud, 4, owner="bio")
    far = Span(AHEAD.start + 24 * HOUR, AHEAD.end + 25 * HOUR)
    with pytest.raises(PolicyRefused, match="core-hours"):
        admit(cloud, 8, far)
    cloud.others = (wanted(4, reference="lease-1"), wanted(4, reference="lease-2", owner="bio"))
    cloud.refresh()
    # Its own claim does not count against a change of it.
    admit(cloud, 4, Span(AHEAD.start, AHEAD.end + HOUR), "lease-1")
    assert cloud.well()


def test_a_lease_of_ours_is_let_in_if_its_reservation_claims_that_time(cloud: Cloud) -> None:
    booking = cloud.site.book(cloud.ann, "half", AHEAD, pool="far")
    name = cloud.site.only(booking.id).id
    before = cloud.timeline()
    admit(cloud, 16, ours=name)
    assert (cloud.timeline(), rows(cloud)) == (before, [])
    for span, forged in (
        (Span(AHEAD.start, AHEAD.end + HOUR), name),
        (AHEAD, "nobody"),
        (Span(START, AHEAD.end), name),
    ):
        with pytest.raises(Conflict):
            admit(cloud, 1, span, ours=forged)
    bookings.cancel(cloud.site.ctx, cloud.ann, booking.id)
    with pytest.raises(Conflict):
        admit(cloud, 16, ours=name)


def test_what_cannot_be_is_refused_and_writes_nothing(cloud: Cloud) -> None:
    ctx, now = cloud.site.ctx, cloud.clock.now()
    beyond = ctx.horizon(now) + MINUTE
    with pytest.raises(BeyondHorizon):
        admit(cloud, 1, Span(START, beyond))
    with pytest.raises(Invalid):
        admit(cloud, 1, Span(now - 2 * HOUR, now))
    backwards = Inquiry(Seen("", AHEAD.end, AHEAD.start, 1, 0))
    with pytest.raises(Invalid):
        strangers.admit(ctx, ROOT, "cloud", backwards)
    with pytest.raises(NotFound):
        strangers.admit(ctx, ROOT, "moon", Inquiry(wanted(1)))
    with pytest.raises(Forbidden):
        strangers.admit(ctx, cloud.ann, "cloud", Inquiry(wanted(1)))
    with pytest.raises(Forbidden):
        strangers.ended(ctx, cloud.ann, "cloud", Inquiry(wanted(1, reference="lease-1")))

    def close(session: Any) -> None:
        session.scalar(select(Pool).where(Pool.name == "far")).closed_reason = "an audit found a fault"

    ctx.db.run("close", close)
    with pytest.raises(Closed):
        admit(cloud, 1)
    assert rows(cloud) == []


def test_one_that_has_begun_needs_room_from_now_on(cloud: Cloud) -> None:
    cloud.clock.advance(10 * MINUTE + timedelta(seconds=7))
    now = cloud.clock.now()
    strangers.admit(cloud.site.ctx, ROOT, "cloud", Inquiry(Seen("", now, START + HOUR, 16, 0)))
    assert cloud.timeline() == [(10, 16, 16), (60, 16, 0)]


def test_a_platform_without_a_pool_lets_everything_in(site: Site, clock: TestClock) -> None:
    cloud = Cloud(site, clock)
    admit(cloud, 1000)
    strangers.ended(site.ctx, ROOT, "cloud", Inquiry(wanted(1, reference="lease-1")))


def test_who_books_and_who_leases_ask_one_ledger(cloud: Cloud) -> None:
    admit(cloud, 12)
    cloud.site.book(cloud.ann, "half", AHEAD, pool="far")
    with pytest.raises(NoCapacity):
        bookings.book(
            cloud.site.ctx,
            cloud.ann,
            BookingRequest("half", Sharing.RESERVED, (AHEAD,), pool="far"),
            lambda _: {},
        )
    query = select(Journal).where(Journal.action == "stranger.admitted")
    (told,) = cloud.site.ctx.db.read("journal", lambda session: session.scalars(query).all())
    assert told.detail == {"owner": "astro", "name": "run", "cores": 12}


HOURS = st.integers(0, 12)
AMOUNTS = st.builds(Resources, st.integers(0, 3), st.integers(0, 3))


@st.composite
def pieces(draw: st.DrawFn) -> tuple[Span, Resources]:
    start, length = draw(HOURS), draw(st.integers(1, 12))
    return Span(START + start * HOUR, START + (start + length) * HOUR), draw(AMOUNTS)


@given(pieces(), pieces())
def test_what_a_change_adds_is_exactly_what_is_lacking(
    before: tuple[Span, Resources], after: tuple[Span, Resources]
) -> None:
    found = grown(before, after)
    for hour in range(24):
        at = START + hour * HOUR

        def at_hour(some: list[tuple[Span, Resources]], at: Any = at) -> list[Resources]:
            return [amounts for span, amounts in some if span.contains(at)]

        have, want, more = at_hour([before]), at_hour([after]), at_hour(found)
        assert len(more) <= 1
        lacking = [
            max(0, w - h)
            for w, h in zip(*((x or [Resources()])[0].vector() for x in (want, have)), strict=True)
        ]
        assert list((more or [Resources()])[0].vector()) == lacking
    assert grown(None, after) == ([after] if after[1] != Resources() else [])
