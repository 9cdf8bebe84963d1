"""Find-slot and extension against the oracle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.cells import Granularity, day_start
from booking.allocator.grid import grid_over
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.runs import Place
from booking.allocator.search import extension, find_slots, latest_end
from booking.allocator.span import Span, instant_of
from booking.allocator.timeline import Entry, Timeline
from tests.allocator.scenes import Scene, demands, property_test, scenes, sharings

ONE = Resources(cores=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
lengths = st.one_of(
    st.integers(1, 30).map(lambda hours: hours * HOUR),
    st.integers(1, 3).map(lambda days: days * DAY),
    st.integers(1, 200).map(lambda minutes: timedelta(minutes=minutes)),
)


def end_of(scene: Scene, start: int, length: timedelta) -> int | None:
    """The end of a span of that length as the words of the API have it."""
    edges = scene.edges
    if scene.granularity is Granularity.DAY and length % DAY == timedelta(0):
        position = edges.index(start) + length // DAY
        return edges[position] if position < len(edges) else None
    reached = [edge for edge in edges if edge >= start + length / timedelta(minutes=1)]
    return reached[0] if reached else None


@property_test
@given(scenes(), demands, sharings, lengths, st.data())
def test_slots_are_all_the_aligned_spans_that_fit_the_earliest_first(
    scene: Scene, demand: Resources, sharing: Sharing, length: timedelta, data: st.DataObject
) -> None:
    first, last = scene.days[0], scene.days[-1]
    opens = data.draw(st.integers(first - 200, last - 1))
    window = (opens, data.draw(st.integers(opens + 1, last + 200)))
    begin = data.draw(st.integers(0, len(scene.edges) - 2))
    limit = data.draw(st.integers(0, 80))
    free = scene.free_minutes(demand, sharing)
    expected = []
    for start in scene.edges[begin:]:
        end = end_of(scene, start, length)
        if end is None or start < window[0] or end > window[1]:
            continue
        if all(free[start - first : end - first]):
            expected.append(Span.of_minutes(start, end))
    place = scene.place(sharing, start=begin)
    assert find_slots(place, demand, length, Span.of_minutes(*window), limit) == expected[:limit]


@property_test
@given(scenes(), demands, sharings, st.data())
def test_the_latest_end_is_as_far_as_the_demand_fits(
    scene: Scene, demand: Resources, sharing: Sharing, data: st.DataObject
) -> None:
    start, end = sorted(
        data.draw(st.lists(st.sampled_from(scene.edges), min_size=2, max_size=2, unique=True))
    )
    free = scene.free_minutes(demand, sharing)
    reachable = [
        edge for edge in scene.edges if edge >= end and all(free[end - scene.days[0] : edge - scene.days[0]])
    ]
    found = extension(scene.place(sharing), demand, Span.of_minutes(start, end))
    assert found.until == instant_of(reachable[-1])
    assert latest_end(scene.place(sharing), demand, Span.of_minutes(start, end)) == found.until
    if reachable[-1] == scene.edges[-1]:
        assert found.reason is None
    else:
        assert found.reason is not None
        following = scene.edges[scene.edges.index(reachable[-1]) + 1]
        blocked = found.reason.start - scene.days[0]
        assert reachable[-1] <= found.reason.start < following
        assert not free[blocked]
        assert all(free[end - scene.days[0] : blocked])


def pool(
    granularity: Granularity,
    entries: list[Entry],
    days: int = 5,
    zone: str = "Europe/London",
    first: date = date(2027, 3, 27),
) -> Place:
    """Four cores for some days, with a clock change on the second."""
    place = ZoneInfo(zone)
    start, end = day_start(place, first), day_start(place, first + timedelta(days=days))
    span = Span(start, end)
    timeline = Timeline.empty(*span.minutes).applied([Entry("physical", *span.minutes, "cores", 4), *entries])
    return Place("here", place, granularity, timeline, timeline.available, start, end)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2027, 3, day, hour, minute, tzinfo=UTC)


def taken(start: datetime, end: datetime, amount: int = 4) -> Entry:
    return Entry("reserved", *Span(start, end).minutes, "cores", amount)


def test_a_day_of_a_day_pool_may_have_23_hours() -> None:
    place = pool(Granularity.DAY, [])
    window = Span(place.start_from, place.horizon)
    slots = find_slots(place, ONE, timedelta(days=2), window, 2)
    assert [slot.length for slot in slots] == [timedelta(hours=47)] * 2


def test_an_hour_pool_counts_elapsed_time() -> None:
    place = pool(Granularity.HOUR, [])
    (slot,) = find_slots(place, ONE, timedelta(days=2), Span(place.start_from, place.horizon), 1)
    assert slot.length == timedelta(hours=48)


def test_a_length_of_a_few_seconds_more_takes_the_next_cell() -> None:
    place = pool(Granularity.HOUR, [])
    window = Span(place.start_from, place.horizon)
    (slot,) = find_slots(place, ONE, HOUR + timedelta(seconds=1), window, 1)
    assert slot.length == 2 * HOUR


def test_every_start_counts_and_not_only_the_first_of_a_gap() -> None:
    place = pool(Granularity.HOUR, [taken(at(27, 0), at(27, 10)), taken(at(27, 13), at(31, 0))])
    slots = find_slots(place, ONE, 2 * HOUR, Span(place.start_from, at(31, 0)), 10)
    assert slots == [Span(at(27, 10), at(27, 12)), Span(at(27, 11), at(27, 13))]


def test_a_booking_at_twenty_past_takes_the_whole_cell_from_a_slot() -> None:
    place = pool(Granularity.HOUR, [taken(at(27, 10, 20), at(27, 10, 40))])
    slots = find_slots(place, ONE, HOUR, Span(at(27, 9), at(27, 12)), 10)
    assert slots == [Span(at(27, 9), at(27, 10)), Span(at(27, 11), at(27, 12))]


def test_no_more_slots_than_asked_for_are_found_however_many_gaps_there_are() -> None:
    place = pool(Granularity.HOUR, [taken(at(27, hour), at(27, hour + 1)) for hour in (10, 12, 14)])
    window = Span(at(27, 9), at(27, 18))
    every = find_slots(place, ONE, HOUR, window, 10)
    assert [slot.start for slot in every] == [at(27, hour) for hour in (9, 11, 13, 15, 16, 17)]
    for limit in range(1, 7):
        assert find_slots(place, ONE, HOUR, window, limit) == every[:limit]


@pytest.mark.parametrize("length", [timedelta(0), -HOUR])
def test_a_slot_of_no_length_is_refused(length: timedelta) -> None:
    place = pool(Granularity.HOUR, [])
    window = Span(place.start_from, place.horizon)
    with pytest.raises(ValueError, match="more than nothing"):
        find_slots(place, ONE, length, window, 1)
    with pytest.raises(ValueError, match="more than nothing"):
        grid_over(place.zone, *window.minutes, Granularity.HOUR).ends(length)


def test_a_window_before_the_present_or_after_the_horizon_has_no_slot() -> None:
    place = pool(Granularity.HOUR, [])
    for shift in (-30 * DAY, 30 * DAY):
        window = Span(place.start_from, place.horizon).shifted(shift)
        assert find_slots(place, ONE, HOUR, window, 5) == []


def test_a_window_narrower_than_a_cell_has_no_slot() -> None:
    place = pool(Granularity.DAY, [])
    assert find_slots(place, ONE, DAY, Span(at(27, 3), at(27, 4)), 5) == []


def test_an_extension_says_what_stands_in_the_way() -> None:
    place = pool(Granularity.HOUR, [taken(at(27, 15, 20), at(27, 18), 1)])
    demand = Resources(cores=4)
    found = extension(place, demand, Span(at(27, 10), at(27, 12)))
    assert found.until == at(27, 15)
    assert found.reason is not None
    assert instant_of(found.reason.start) == at(27, 15, 20)
    assert instant_of(found.reason.end) == at(27, 18)
    assert found.reason.available[0] == 3


def test_a_span_with_no_room_behind_it_cannot_grow() -> None:
    place = pool(Granularity.HOUR, [taken(at(27, 12), at(27, 13))])
    assert latest_end(place, ONE, Span(at(27, 10), at(27, 12))) == at(27, 12)


def test_a_span_that_ends_off_the_grid_grows_to_an_edge_or_not_at_all() -> None:
    place = pool(Granularity.HOUR, [taken(at(27, 12, 40), at(27, 13)), taken(at(27, 15, 30), at(27, 16))])
    assert latest_end(place, ONE, Span(at(27, 10), at(27, 12, 10))) == at(27, 12, 10)
    assert latest_end(place, ONE, Span(at(27, 10), at(27, 13, 10))) == at(27, 15)


def test_a_span_at_the_horizon_or_before_the_timeline_stays() -> None:
    place = pool(Granularity.HOUR, [])
    for span in (Span(place.horizon - HOUR, place.horizon), Span(at(20, 1), at(20, 2))):
        assert extension(place, ONE, span).until == span.end
        assert extension(place, ONE, span).reason is None


def test_the_horizon_bounds_an_extension_even_where_more_is_known() -> None:
    place = pool(Granularity.HOUR, [])
    near = Place(**{**vars(place), "horizon": at(27, 20, 30)})
    found = extension(near, ONE, Span(at(27, 10), at(27, 12)))
    assert (found.until, found.reason) == (at(27, 20), None)
