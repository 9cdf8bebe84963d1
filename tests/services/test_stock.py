"""What a platform has becomes what its pool has, minute by minute, and what others took of it is not promised."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from booking.adapters.base import ProvisionerError, Stranger
from booking.allocator.span import Span
from booking.errors import NoCapacity
from booking.models import Blackout, Inventory, Journal
from booking.services import capacity, leadership, stock
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site
from tests.support.stock import FIRST, SECOND, Cloud

MINUTE = timedelta(minutes=1)
AHEAD = Span(START + 2 * HOUR, START + 4 * HOUR)


@pytest.fixture
def cloud(site: Site, clock: TestClock) -> Cloud:
    made = Cloud(site, clock)
    made.pool()
    return made


def test_hosts_are_owned_from_the_day_they_are_seen_and_once(cloud: Cloud) -> None:
    assert cloud.refresh() == 2
    assert cloud.timeline() == [(0, 16, 0)]
    assert cloud.timeline(kind=2) == [(0, 1, 0)]
    assert cloud.refresh() == 0
    rows = cloud.site.ctx.db.read("rows", lambda s: s.scalars(select(Inventory)).all())
    assert sorted(row.reason for row in rows) == [
        "host node-1 (platform cloud)",
        "host node-2 (platform cloud)",
    ]
    assert {row.start for row in rows} == {START.replace(hour=0)}
    assert cloud.well()


def test_the_day_is_that_of_the_pool(site: Site, clock: TestClock) -> None:
    cloud = Cloud(site, clock)
    cloud.pool("Asia/Kathmandu")
    cloud.refresh()
    rows = site.ctx.db.read("rows", lambda s: s.scalars(select(Inventory)).all())
    assert {row.start for row in rows} == {START.replace(hour=0) - 5 * HOUR - 45 * MINUTE}


def test_a_platform_without_a_pool_is_not_asked(site: Site, clock: TestClock) -> None:
    assert Cloud(site, clock).refresh() == 0


def test_a_host_that_dies_is_withdrawn_until_it_is_back(cloud: Cloud) -> None:
    cloud.refresh()
    booking = cloud.site.book(cloud.ann, "half", AHEAD, pool="far")
    others = [cloud.site.book(cloud.ann, "half", AHEAD, pool="far") for _ in range(3)]
    cloud.clock.advance(30 * MINUTE)
    cloud.seen = (FIRST, replace(SECOND, is_up=False, detail="Nova has lost it."))
    assert cloud.refresh() == 1
    assert [segment[:2] for segment in cloud.timeline()] == [(30, 8), (120, 8), (240, 8)]
    (row,) = cloud.site.ctx.db.read("rows", lambda s: s.scalars(select(Blackout)).all())
    assert row.reason == "host node-2: Nova has lost it. (platform cloud)"
    assert [cloud.site.only(one.id).at_risk for one in (booking, *others)] == [False, False, True, True]
    assert cloud.refresh() == 0
    cloud.clock.advance(15 * MINUTE)
    cloud.seen = (FIRST, SECOND)
    assert cloud.refresh() == 1
    assert cloud.timeline(end=HOUR) == [(45, 16, 0)]
    assert not any(cloud.site.only(one.id).at_risk for one in (booking, *others))
    assert cloud.well()


def test_a_host_that_comes_and_goes_within_a_minute_leaves_nothing(cloud: Cloud) -> None:
    cloud.refresh()
    for seen in ((FIRST,), (FIRST, SECOND)):
        cloud.seen = seen
        cloud.refresh()
    assert cloud.timeline() == [(0, 16, 0)]
    assert cloud.site.ctx.db.read("rows", lambda s: s.scalars(select(Blackout)).all()) == []
    assert cloud.well()


def test_a_host_that_is_no_longer_listed_is_withdrawn_and_an_empty_list_is_not_believed(
    cloud: Cloud,
) -> None:
    cloud.refresh()
    cloud.seen = (FIRST,)
    cloud.refresh()
    assert cloud.timeline() == [(0, 8, 0)]
    cloud.seen = ()
    with pytest.raises(ProvisionerError, match="no host at all"):
        cloud.refresh()
    assert cloud.timeline() == [(0, 8, 0)]


def test_a_host_that_grows_is_owned_as_it_is_from_now_on_also_while_it_is_down(cloud: Cloud) -> None:
    cloud.refresh()
    cloud.clock.advance(HOUR)
    cloud.seen = (replace(FIRST, cores=16), replace(SECOND, is_up=False))
    cloud.refresh()
    assert cloud.timeline() == [(60, 16, 0)]
    cloud.seen = (replace(FIRST, cores=16), replace(SECOND, is_up=False, cores=32))
    cloud.refresh()
    assert cloud.timeline() == [(60, 16, 0)]
    cloud.seen = (replace(FIRST, cores=16), replace(SECOND, cores=32))
    cloud.refresh()
    assert cloud.timeline() == [(60, 48, 0)]
    assert cloud.well()


def test_an_entry_that_somebody_removed_is_made_again(cloud: Cloud) -> None:
    cloud.refresh()
    rows = cloud.site.ctx.db.read("rows", lambda s: s.scalars(select(Inventory)).all())
    capacity.edit(cloud.site.ctx, ROOT, capacity.Edit("far", Inventory, rows[0].id, None))
    assert cloud.timeline() == [(0, 8, 0)]
    assert cloud.refresh() == 1
    assert cloud.timeline() == [(0, 16, 0)]
    assert cloud.well()


def test_what_strangers_have_reserved_is_not_promised(cloud: Cloud) -> None:
    cloud.others = (
        Stranger("lease-1", AHEAD.start + timedelta(seconds=20), AHEAD.end - timedelta(seconds=20), 14, 100),
        Stranger("over", START - HOUR, START, 16, 100),
    )
    cloud.refresh()
    assert cloud.timeline() == [(0, 16, 0), (120, 16, 14), (240, 16, 0)]
    with pytest.raises(NoCapacity):
        cloud.site.book(cloud.ann, "half", AHEAD, pool="far")
    assert cloud.refresh() == 0
    cloud.others = (Stranger("lease-1", AHEAD.start, AHEAD.start + HOUR, 2, 100),)
    cloud.refresh()
    assert cloud.timeline() == [(0, 16, 0), (120, 16, 2), (180, 16, 0)]
    booking = cloud.site.book(cloud.ann, "half", AHEAD, pool="far")
    cloud.others = (Stranger("lease-1", AHEAD.start, AHEAD.start + HOUR, 14, 100),)
    cloud.refresh()
    assert cloud.site.only(booking.id).at_risk
    assert cloud.well()
    cloud.others = ()
    cloud.refresh()
    assert not cloud.site.only(booking.id).at_risk
    assert cloud.well()


def test_a_stranger_that_is_over_and_lives_on_is_met_again(cloud: Cloud) -> None:
    cloud.others = (Stranger("lease-1", START, START + HOUR, 2, 100),)
    cloud.refresh()
    cloud.clock.advance(2 * HOUR)
    cloud.others = (Stranger("lease-1", START, START + 3 * HOUR, 2, 100),)
    cloud.refresh()
    assert cloud.timeline() == [(120, 16, 2), (180, 16, 0)]
    assert cloud.well()


def test_what_changed_is_in_the_journal_and_a_deposed_leader_writes_nothing(cloud: Cloud) -> None:
    cloud.refresh()
    cloud.seen = (FIRST,)
    with pytest.raises(leadership.Deposed):
        stock.refresh(cloud.site.ctx, cloud.epoch - 1, cloud.setup, cloud.ports)
    cloud.refresh()
    query = select(Journal.action).where(Journal.action.like("host.%")).order_by(Journal.id)
    told = cloud.site.ctx.db.read("journal", lambda s: s.scalars(query).all())
    assert told == ["host.found", "host.found", "host.down"]
