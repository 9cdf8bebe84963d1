"""Capacity: a cut under what is booked is told before it is made, and nothing is silently broken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from booking import errors
from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.span import FOREVER, Span
from booking.models import Blackout, Inventory
from booking.services import capacity, verify
from booking.services.capacity import Edit, Holding, OnConflict
from booking.services.exact import exact_timeline
from tests.support.doors import START
from tests.support.site import HOUR, ROOT, Site

DAY = Span(START, START + 12 * HOUR)


@pytest.fixture
def ready(site: Site) -> Site:
    site.pool(8)
    site.package("half", 4)
    return site


def cut(
    span: Span, cores: int, on_conflict: OnConflict = OnConflict.REFUSE, *, dry_run: bool = False
) -> Edit:
    """A blackout."""
    holding = Holding(span, Resources(cores=cores), "maintenance")
    return Edit("pool", Blackout, None, holding, on_conflict, dry_run)


def free(site: Site, span: Span) -> Sequence[int]:
    segments = exact_timeline(site.ctx, "pool", span.start, span.end).segments
    return [segment.available[0] for segment in segments]


def test_a_cut_that_nobody_notices_is_made_at_once(ready: Site) -> None:
    ready.book(ready.person("ann"), "half", DAY)
    assert capacity.edit(ready.ctx, ROOT, cut(DAY, 4)).conflicts == []
    assert free(ready, DAY) == [0]


def test_a_cut_under_what_is_booked_is_refused_until_somebody_says_what_happens(ready: Site) -> None:
    made = ready.book(ready.person("ann"), "half", DAY)
    with pytest.raises(errors.CapacityConflict) as caught:
        capacity.edit(ready.ctx, ROOT, cut(DAY, 6))
    assert [conflict["booking"] for conflict in caught.value.conflicts] == [made.id]
    assert free(ready, DAY) == [4]


def test_a_rehearsal_names_them_and_changes_nothing(ready: Site) -> None:
    made = ready.book(ready.person("ann"), "half", DAY)
    impact = capacity.edit(ready.ctx, ROOT, cut(DAY, 6, dry_run=True))
    assert [capacity.described(r)["booking"] for r in impact.conflicts] == [made.id]
    assert free(ready, DAY) == [4]
    assert verify.differences(ready.ctx) == []


def test_kept_bookings_are_flagged_until_there_is_room_again(ready: Site) -> None:
    made = ready.book(ready.person("ann"), "half", DAY)
    row = capacity.edit(ready.ctx, ROOT, cut(DAY, 6, OnConflict.KEEP)).row
    assert row is not None
    assert ready.only(made.id).at_risk
    assert free(ready, DAY) == [0]
    with pytest.raises(errors.NoCapacity):
        ready.book(ready.person("bob"), "half", DAY)
    assert verify.differences(ready.ctx) == []
    capacity.edit(ready.ctx, ROOT, Edit("pool", Blackout, row.id, None))
    assert not ready.only(made.id).at_risk


def test_shared_bookings_lose_first_then_the_latest_booked_and_no_more_than_must(ready: Site) -> None:
    ready.add("pool", Span(START, FOREVER), Resources(cores=8, memory_mib=32768))
    names = ("first", "sharer", "second", "third")
    made = {
        name: ready.book(
            ready.person(name), "half", DAY, sharing=Sharing.SHARED if name == "sharer" else Sharing.RESERVED
        )
        for name in names
    }
    capacity.edit(ready.ctx, ROOT, cut(DAY, 8, OnConflict.CANCEL))
    states = {name: ready.only(booking.id).state for name, booking in made.items()}
    assert states == {
        "first": State.CONFIRMED,
        "sharer": State.CANCELLED,
        "second": State.CONFIRMED,
        "third": State.CANCELLED,
    }
    assert verify.differences(ready.ctx) == []


def test_only_the_spans_that_stand_on_nothing_are_cancelled(ready: Site) -> None:
    late = Span(DAY.end + HOUR, DAY.end + 2 * HOUR)
    made = ready.book(ready.person("ann"), "half", DAY, late)
    capacity.edit(ready.ctx, ROOT, cut(late, 6, OnConflict.CANCEL))
    assert ready.states(made.id) == [State.CONFIRMED, State.CANCELLED]


def test_inventory_may_be_moved_and_ended(site: Site) -> None:
    site.pool(0)
    row = site.add("pool", DAY, Resources(cores=8, memory_mib=1024))
    later = Span(DAY.start + HOUR, DAY.end + HOUR)
    wanted = Holding(later, Resources(cores=3, memory_mib=1024), "moved")
    capacity.edit(site.ctx, ROOT, Edit("pool", Inventory, row, wanted))
    assert free(site, Span(DAY.start, later.end)) == [0, 3]
    capacity.edit(site.ctx, ROOT, Edit("pool", Inventory, row, None))
    assert free(site, DAY) == [0]
    assert verify.differences(site.ctx) == []


def test_a_row_of_another_pool_is_not_there(ready: Site) -> None:
    ready.pool(4, name="other")
    row = ready.add("other", DAY, Resources(cores=1))
    with pytest.raises(errors.NotFound):
        capacity.edit(ready.ctx, ROOT, Edit("pool", Inventory, row, None))


def test_a_pool_without_inventory_has_nothing_and_says_so(site: Site) -> None:
    site.pool(0)
    site.package("half", 4)
    assert free(site, DAY) == [0]
    with pytest.raises(errors.NoCapacity) as caught:
        site.book(site.person("ann"), "half", DAY)
    assert caught.value.alternatives == []


def test_a_zone_that_does_not_exist_is_named(site: Site) -> None:
    with pytest.raises(errors.Invalid) as caught:
        site.pool(timezone="Mars/Olympus")
    assert list(caught.value.errors) == ["timezone"]


def test_the_standing_reservation_moves_with_the_pool(ready: Site) -> None:
    capacity.change_pool(ready.ctx, ROOT, "pool", capacity.PoolChange(reserve=Resources(cores=3)))
    assert free(ready, DAY) == [5]
    capacity.change_pool(ready.ctx, ROOT, "pool", capacity.PoolChange(reserve=Resources(cores=1)))
    assert free(ready, DAY) == [7]
    assert verify.differences(ready.ctx) == []
