"""Availability against the oracle: counts and best moments, reserved and shared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.availability import Counts, Demands, best_counts, counts, fits, free, level0_room
from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.timeline import Amounts, Entry, ShareRatio, Timeline
from tests.allocator.scenes import Scene, demands, property_test, scenes, sharings


def both(
    timeline: Timeline, room: Amounts, edges: Sequence[int] | Amounts, asked: Sequence[Resources]
) -> tuple[Counts, Counts]:
    """For the whole of each cell, and at its best moment."""
    made = Demands(asked)
    return counts(timeline, room, edges, made), best_counts(timeline, room, edges, made)


@property_test
@given(scenes(), demands, sharings)
def test_counts_and_best_moments_are_those_of_every_minute(
    scene: Scene, demand: Resources, sharing: Sharing
) -> None:
    room = free(scene.timeline, sharing)
    count, best = both(scene.timeline, room, scene.edges, [demand])
    each, origin = scene.counts(demand, sharing), scene.days[0]
    cells = [each[start - origin : end - origin] for start, end in pairwise(scene.edges)]
    assert count[0].tolist() == [min(cell) for cell in cells]
    assert best[0].tolist() == [max(cell) for cell in cells]


@property_test
@given(scenes(), demands, sharings)
def test_cells_that_are_known_again_count_the_same(scene: Scene, demand: Resources, sharing: Sharing) -> None:
    room, edges = free(scene.timeline, sharing), np.array(scene.edges, dtype=np.int64)
    edges.flags.writeable = False
    told = [answer.tolist() for answer in both(scene.timeline, room, scene.edges, [demand])]
    for _ in range(2):
        again = both(scene.timeline, room, edges, [demand])
        assert [answer.tolist() for answer in again] == told
    cells = scene.timeline.cells(edges)
    for first in range(2 * 32):  # others come and go
        other = np.array(scene.edges[first % 2 :], dtype=np.int64)
        other.flags.writeable = False
        scene.timeline.cells(other)
    assert str(scene.timeline.cells(edges)) == str(cells)


def test_edges_that_may_change_are_looked_at_each_time() -> None:
    timeline = Timeline.empty(0, 100).applied([Entry("physical", 10, 20, "cores", 8)])
    edges = np.array([10, 20], dtype=np.int64)
    one = Demands([Resources(1)])
    assert counts(timeline, timeline.available, edges, one).tolist() == [[8]]
    edges[:] = 20, 30
    assert counts(timeline, timeline.available, edges, one).tolist() == [[0]]


def test_edges_beyond_the_timeline_are_refused() -> None:
    timeline = Timeline.empty(0, 100)
    for edges in ([-1, 50], [50, 101]):
        with pytest.raises(ValueError, match="does not cover"):
            timeline.cells(edges)


@property_test
@given(scenes(), demands, sharings, st.data())
def test_a_span_of_any_minutes_fits_exactly_if_its_count_is_one_or_more(
    scene: Scene, demand: Resources, sharing: Sharing, data: st.DataObject
) -> None:
    start = data.draw(st.integers(scene.days[0], scene.days[-1] - 1))
    end = data.draw(st.integers(start + 1, scene.days[-1]))
    room = free(scene.timeline, sharing)
    answer = fits(scene.timeline, room, (start, end), demand)
    possible = scene.free_minutes(demand, sharing)
    assert answer == all(possible[start - scene.days[0] : end - scene.days[0]])
    count, best = both(scene.timeline, room, [start, end], [demand])
    assert answer == (count[0, 0] >= 1)
    assert best[0, 0] >= count[0, 0] >= 0


@property_test
@given(scenes(), demands, sharings)
def test_room_for_a_large_package_is_room_for_every_smaller_one(
    scene: Scene, demand: Resources, sharing: Sharing
) -> None:
    ordered = [demand * factor for factor in (1, 2, 4, 8)]
    count, best = both(scene.timeline, free(scene.timeline, sharing), scene.edges, ordered)
    for rows in (count, best):
        assert (rows[:-1] >= rows[1:]).all()


def test_the_best_moment_is_one_moment_for_all_kinds() -> None:
    # Cores are free in the first hour, memory in the second: nothing is free at any one moment.
    timeline = Timeline.empty(0, 120).applied(
        [Entry("physical", 0, 60, "cores", 4), Entry("physical", 60, 120, "memory_mib", 4)]
    )
    count, best = both(timeline, timeline.available, [0, 120], [Resources(1, 1), Resources(cores=1)])
    assert count.tolist() == [[0], [0]]
    assert best.tolist() == [[0], [4]]


def test_a_kind_that_is_not_asked_for_does_not_matter() -> None:
    timeline = Timeline.empty(0, 60).applied(
        [Entry("physical", 0, 60, "cores", 4), Entry("reserved", 0, 60, "gpus", 9)]
    )
    assert fits(timeline, timeline.available, (0, 60), Resources(cores=4))
    assert not fits(timeline, timeline.available, (0, 60), Resources(cores=4, gpus=1))


def test_a_demand_for_nothing_has_no_count() -> None:
    with pytest.raises(ValueError, match="at least one kind"):
        Demands([Resources()])


def test_each_package_is_measured_by_the_kinds_that_it_asks_for() -> None:
    timeline = Timeline.empty(0, 60).applied(
        [Entry("physical", 0, 60, "cores", 8), Entry("physical", 0, 60, "gpus", 3)]
    )
    asked = [Resources(cores=2), Resources(gpus=1), Resources(cores=4, gpus=2), Resources(memory_mib=1)]
    count, best = both(timeline, timeline.available, [0, 60], asked)
    assert count[:, 0].tolist() == best[:, 0].tolist() == [4, 3, 1, 0]


def test_amounts_of_a_whole_data_centre_are_divided_exactly() -> None:
    big = 3 * 10**14
    timeline = Timeline.empty(0, 60).applied([Entry("physical", 0, 60, "memory_mib", big - 1)])
    sizes = [Resources(memory_mib=size) for size in (3, big // 7, big - 1, big)]
    count, best = both(timeline, timeline.available, [0, 60], sizes)
    assert count[:, 0].tolist() == [(big - 1) // size.memory_mib for size in sizes]
    assert (count == best).all()


def test_no_packages_have_no_counts() -> None:
    timeline = Timeline.empty(0, 60)
    count, best = both(timeline, timeline.available, [0, 30, 60], [])
    assert count.shape == best.shape == (0, 2)


def test_cells_outside_the_timeline_are_refused() -> None:
    timeline = Timeline.empty(0, 60)
    with pytest.raises(ValueError, match="does not cover"):
        both(timeline, timeline.available, [0, 60, 120], [Resources(cores=1)])


def test_a_custom_booking_counts_in_full() -> None:
    timeline = Timeline.empty(0, 60, ratio=ShareRatio(3000)).applied([Entry("physical", 0, 60, "cores", 2)])
    assert free(timeline, Sharing.CUSTOM)[0, 0] == 2
    assert free(timeline, Sharing.SHARED)[0, 0] == 6


def test_level_0_draws_on_its_standing_reservation_alone() -> None:
    timeline = Timeline.empty(0, 60, ratio=ShareRatio(1500)).applied(
        [Entry("level0", 0, 60, "cores", 2), Entry("reserved", 0, 60, "cores", 99)]
    )
    assert level0_room(timeline, Resources(cores=4))[0, 0] == 4


@pytest.mark.parametrize("granularity", list(Granularity))
def test_an_entry_at_twenty_past_ten_takes_only_its_part_of_the_hour(granularity: Granularity) -> None:
    timeline = Timeline.empty(0, 1440).applied(
        [Entry("physical", 0, 1440, "cores", 4), Entry("reserved", 620, 640, "cores", 3)]
    )
    edges = [600, 660] if granularity is Granularity.HOUR else [0, 1440]
    count, best = both(timeline, timeline.available, edges, [Resources(cores=1)])
    assert (count[0, 0], best[0, 0]) == (1, 4)
    assert fits(timeline, timeline.available, (600, 620), Resources(cores=4))
    assert not fits(timeline, timeline.available, (600, 621), Resources(cores=4))
