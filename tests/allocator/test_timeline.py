"""Timelines against the oracle: sides, segments, and entries that come in any order and size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.resources import KINDS
from booking.allocator.timeline import Entry, Segment, ShareRatio, Side, Timeline
from tests.allocator.scenes import Scene, property_test, scenes

DAY = 24 * 60


def entry(side: str, start: int, end: int, amount: int, kind: str = "cores") -> Entry:
    return Entry(side, start, end, kind, amount)


def _segments_minute_by_minute(scene: Scene, start: int, end: int) -> list[Segment]:
    each = list(zip(*(scene.oracle.shown(kind) for kind in KINDS), strict=True))
    result: list[Segment] = []
    for minute in range(start, end):
        physical, reserved, available = zip(*each[minute - scene.days[0]], strict=True)
        now = Segment(minute, minute + 1, physical, reserved, available)
        if result and result[-1][2:] == now[2:]:
            result[-1] = result[-1]._replace(end=minute + 1)
        else:
            result.append(now)
    return result


@property_test
@given(scenes(), st.data())
def test_segments_are_the_step_functions_of_every_minute(scene: Scene, data: st.DataObject) -> None:
    first, last = scene.days[0], scene.days[-1]
    start = data.draw(st.integers(first, last - 1))
    end = data.draw(st.integers(start + 1, last))
    assert scene.timeline.segments(start, end) == _segments_minute_by_minute(scene, start, end)


@property_test
@given(scenes(), st.data())
def test_entries_may_come_one_by_one_or_at_once(scene: Scene, data: st.DataObject) -> None:
    by_one = Timeline.empty(scene.days[0], scene.days[-1], ratio=ShareRatio(scene.milli))
    for one in data.draw(st.permutations(scene.entries)):
        by_one = by_one.applied([one])
    span = scene.days[0], scene.days[-1]
    assert by_one.segments(*span) == scene.timeline.segments(*span)


@property_test
@given(scenes(), st.integers(0, 10))
def test_many_entries_give_the_same_as_few(scene: Scene, repeats: int) -> None:
    span = scene.days[0], scene.days[-1]
    many = [*scene.entries, *(entry("reserved", span[0], span[1], sign) for sign in (1, -1) * 150)]
    empty = Timeline.empty(*span, ratio=ShareRatio(scene.milli))
    assert empty.applied(many).segments(*span) == scene.timeline.segments(*span)


def test_applying_makes_a_new_timeline_and_leaves_the_old_one() -> None:
    before = Timeline.empty(0, DAY)
    aligned = before.applied([entry("physical", 0, DAY, 8)])
    odd = aligned.applied([entry("reserved", 600, 617, 2)])
    assert not before.amounts.any()
    assert aligned.side(Side.RESERVED).sum() == 0
    assert odd.segments(590, 620) == [
        Segment(590, 600, (8, 0, 0, 0), (0, 0, 0, 0), (8, 0, 0, 0)),
        Segment(600, 617, (8, 0, 0, 0), (2, 0, 0, 0), (6, 0, 0, 0)),
        Segment(617, 620, (8, 0, 0, 0), (0, 0, 0, 0), (8, 0, 0, 0)),
    ]


def test_an_odd_minute_costs_two_marks_and_not_a_finer_grid() -> None:
    hours = [entry("reserved", start, start + 60, 1) for start in range(0, 365 * DAY, 120)]
    hourly = Timeline.empty(0, 365 * DAY).applied(hours)
    assert hourly.applied([entry("reserved", 600, 617, 2)]).slots == hourly.slots + 1
    assert hourly.applied([entry("reserved", 603, 617, 2)]).slots == hourly.slots + 2


def test_entries_outside_the_span_are_cut_to_it() -> None:
    timeline = Timeline.empty(DAY, 2 * DAY)
    assert (
        timeline.applied([entry("physical", 0, DAY, 1), entry("physical", 2 * DAY, 3 * DAY, 1)]) is timeline
    )
    assert timeline.applied([entry("physical", 0, 9 * DAY, 5)]).segments(DAY, 2 * DAY) == [
        Segment(DAY, 2 * DAY, (5, 0, 0, 0), (0, 0, 0, 0), (5, 0, 0, 0))
    ]


@property_test
@given(scenes(), st.data())
def test_a_part_says_the_same_of_its_slots(scene: Scene, data: st.DataObject) -> None:
    first, last = scene.days[0], scene.days[-1]
    start = data.draw(st.integers(first, last - 1))
    end = data.draw(st.integers(start + 1, last))
    part = scene.timeline.part(start, end)
    assert part.covers(start, end)
    assert part.segments(start, end) == scene.timeline.segments(start, end)
    left, right = scene.timeline.slot_range(start, end)
    assert np.array_equal(part.available, scene.timeline.available[:, left:right])


def test_an_unknown_side_or_kind_is_refused() -> None:
    timeline = Timeline.empty(0, DAY)
    with pytest.raises(KeyError, match="borrowed"):
        timeline.applied([entry("borrowed", 0, DAY, 1)])
    with pytest.raises(KeyError, match="tpus"):
        timeline.applied([entry("physical", 0, DAY, 1, kind="tpus")])


def test_a_span_that_is_not_covered_is_refused() -> None:
    timeline = Timeline.empty(DAY, 2 * DAY)
    for start, end in ((DAY - 1, 2 * DAY), (DAY, 2 * DAY + 1)):
        assert not timeline.covers(start, end)
        with pytest.raises(ValueError, match="does not cover"):
            timeline.slot_range(start, end)
        with pytest.raises(ValueError, match="does not cover"):
            timeline.part(start, end)
    assert timeline.slot_range(DAY, 2 * DAY) == (0, 1)


def test_shared_demand_is_rounded_up_in_total_and_not_per_booking() -> None:
    three = Timeline.empty(0, 60, ratio=ShareRatio(1500)).applied([entry("physical", 0, 60, 10)])
    three = three.applied([entry("shared", 0, 60, 1)] * 3)
    assert three.reserved[0, 0] == 2
    assert three.available[0, 0] == 8
    assert three.shared_room[0, 0] == 12


def test_level0_touches_no_other_side() -> None:
    timeline = Timeline.empty(0, 60).applied([entry("physical", 0, 60, 4), entry("level0", 0, 60, 3)])
    assert timeline.available[0, 0] == 4
    assert timeline.side(Side.LEVEL0)[0, 0] == 3


def test_capacity_cut_below_promises_shows_as_none_and_counts_as_less() -> None:
    timeline = Timeline.empty(0, 60).applied([entry("physical", 0, 60, 4), entry("reserved", 0, 60, 6)])
    assert timeline.available[0, 0] == -2
    assert timeline.segments(0, 60)[0].available == (0, 0, 0, 0)


def test_slots_lie_between_the_edges_of_what_was_entered() -> None:
    timeline = Timeline.empty(0, 150).applied([entry("physical", -10, 60, 1), entry("reserved", 60, 90, 1)])
    assert (timeline.base, timeline.end, timeline.slots) == (0, 150, 3)
    assert np.array_equal(timeline.marks, [0, 60, 90, 150])
