"""Alternatives against the oracle: each can be booked now, and none of its kind is better."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from booking.allocator.cells import Granularity, day_start
from booking.allocator.package import Package, Sharing
from booking.allocator.resources import Resources
from booking.allocator.runs import Place
from booking.allocator.search import Alternative, Kind, Wish, alternatives
from booking.allocator.span import Span, instant_of
from booking.allocator.timeline import Entry, Timeline
from tests.allocator.scenes import Scene, package, property_test, scenes, sharings
from tests.allocator.test_search import end_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SMALLER = [package("half", Resources(2, 2)), package("quarter", Resources(1, 1))]
wishes = st.builds(Resources, st.integers(3, 8), st.integers(3, 8))
edge_pairs = st.tuples(st.integers(0, 80), st.integers(0, 80))


def any_way(alternative: Alternative) -> bool:
    return True


def drawn_wish(data: st.DataObject, scene: Scene, demand: Resources, sharing: Sharing, spans: int) -> Wish:
    """Spans that do not overlap, on the edges of the scene."""
    size = st.lists(
        st.sampled_from(scene.edges),
        min_size=2,
        max_size=min(2 * spans, len(scene.edges) // 2 * 2),
        unique=True,
    )
    ends = sorted(data.draw(size))
    pairs = zip(ends[0::2], ends[1::2], strict=False)
    return Wish(package("asked", demand), sharing, tuple(Span.of_minutes(*pair) for pair in pairs))


def drawn_rule(data: st.DataObject) -> Callable[[Alternative], bool]:
    """A policy on length, distance or package."""
    hours = data.draw(st.integers(1, 60))
    latest = data.draw(st.integers(0, 5))
    kind = data.draw(st.sampled_from(("none", "length", "modulo", "package")))

    def rule(alternative: Alternative) -> bool:
        if kind == "length":
            return all(span.length <= hours * HOUR for span in alternative.spans)
        if kind == "modulo":
            return alternative.spans[0].minutes[0] // 60 % 6 != latest
        return kind == "none" or alternative.package.name != "asked"

    return rule


def assert_can_be_booked(alternative: Alternative, scene: Scene, start: int) -> None:
    free = scene.free_minutes(alternative.package.demand, alternative.sharing)
    covered: set[int] = set()
    for span in alternative.spans:
        minutes = range(*span.minutes)
        assert span.minutes[0] in scene.edges
        assert span.minutes[1] in scene.edges
        assert span.minutes[0] >= scene.edges[start]
        assert all(free[minute - scene.days[0]] for minute in minutes)
        assert not covered & set(minutes)
        covered |= set(minutes)


@property_test
@given(scenes(), scenes(), wishes, sharings, st.data())
def test_every_alternative_can_be_booked_now_and_is_allowed(
    here: Scene, there: Scene, demand: Resources, sharing: Sharing, data: st.DataObject
) -> None:
    wish = drawn_wish(data, here, demand, sharing, data.draw(st.integers(1, 3)))
    start = data.draw(st.integers(0, len(here.edges) - 2))
    rule = drawn_rule(data)
    places = [here.place(sharing, start=start), there.place(sharing, "there")]
    found = alternatives(wish, places, SMALLER, rule)
    assert len(found) <= 4
    assert len({alternative.kind for alternative in found}) == len(found)
    assert found == sorted(found, key=lambda best: (best.regret, best.spans[0], best.pool_id))
    for alternative in found:
        at_home = alternative.kind is not Kind.POOL
        assert alternative.pool_id == ("here" if at_home else "there")
        assert_can_be_booked(alternative, here if at_home else there, start if at_home else 0)
        assert rule(alternative)
        assert alternative.sharing is sharing
        assert alternative.regret >= 0
        assert (alternative.package == wish.package) == (alternative.kind is not Kind.SMALLER)


def _best_by_hand(scene: Scene, start: int, wish: Wish) -> dict[Kind, float]:
    """The least regret of each kind for a single span, edge by edge and minute by minute."""
    zone, origin = ZoneInfo(scene.zone), scene.days[0]
    first, last = wish.spans[0].minutes
    free = scene.free_minutes(wish.package.demand, wish.sharing)
    cells = scene.edges.index(last) - scene.edges.index(first)
    by_day = scene.granularity is Granularity.DAY
    length = cells * DAY if by_day else wish.spans[0].length
    best: dict[Kind, float] = {}

    def note(kind: Kind, regret: float) -> None:
        best[kind] = min(regret, best.get(kind, regret))

    for begin in scene.edges[start:]:
        end = end_of(scene, begin, length)
        if end is not None and begin != first and all(free[begin - origin : end - origin]):
            hours = (begin - first) / 60
            clocks = [instant_of(minute).astimezone(zone).time() for minute in (begin, first)]
            rate = 0.75 if by_day or clocks[0] == clocks[1] else 1.0
            note(Kind.LATER if hours > 0 else Kind.EARLIER, hours * rate if hours > 0 else -1.5 * hours)
        for end in scene.edges:
            inside = first <= begin < end <= last and end - begin < last - first
            if inside and all(free[begin - origin : end - origin]):
                note(Kind.SHORTER, 2 * (last - first - (end - begin)) / 60)
    if first >= scene.edges[start]:
        for smaller in SMALLER:
            room = scene.free_minutes(smaller.demand, wish.sharing)
            if all(room[first - origin : last - origin]):
                kept = min(
                    smaller.demand.cores / demand_of(wish)[0], smaller.demand.memory_mib / demand_of(wish)[1]
                )
                note(Kind.SMALLER, 3 * (last - first) / 60 * (1 - kept))
    return best


def demand_of(wish: Wish) -> tuple[int, int]:
    return wish.package.demand.cores, wish.package.demand.memory_mib


@property_test
@given(scenes(), wishes, sharings, st.data())
def test_no_alternative_of_its_kind_is_better(
    scene: Scene, demand: Resources, sharing: Sharing, data: st.DataObject
) -> None:
    wish = drawn_wish(data, scene, demand, sharing, 1)
    start = data.draw(st.integers(0, len(scene.edges) - 2))
    found = alternatives(wish, [scene.place(sharing, start=start)], SMALLER, any_way)
    told = {
        alternative.kind: alternative.regret for alternative in found if alternative.kind is not Kind.SPLIT
    }
    best = _best_by_hand(scene, start, wish)
    assert told == pytest.approx({kind: regret for kind, regret in best.items() if kind in told})
    for kind in best.keys() - told.keys():
        # Left out only because four others are no worse.
        assert len(found) == 4
        assert best[kind] >= found[-1].regret - 1e-9


@property_test
@given(scenes(), wishes, sharings, st.data())
def test_a_split_gives_the_whole_time_in_pieces_that_are_apart(
    scene: Scene, demand: Resources, sharing: Sharing, data: st.DataObject
) -> None:
    wish = drawn_wish(data, scene, demand, sharing, 1)

    def only_split(alternative: Alternative) -> bool:
        return alternative.kind is Kind.SPLIT

    for alternative in alternatives(wish, [scene.place(sharing)], [], only_split):
        assert_can_be_booked(alternative, scene, 0)
        spans = alternative.spans
        assert 2 <= len(spans) <= 4
        assert all(before.end < after.start for before, after in pairwise(spans))
        assert spans[0].start >= wish.spans[0].start
        if scene.granularity is Granularity.HOUR:
            assert sum((span.length for span in spans), timedelta()) >= wish.spans[0].length
        else:
            cells = [scene.edges.index(end) for span in (*spans, wish.spans[0]) for end in span.minutes]
            lengths = [end - start for start, end in zip(cells[0::2], cells[1::2], strict=True)]
            assert sum(lengths[:-1]) >= lengths[-1]
        late = (spans[-1].end - wish.spans[0].end) / HOUR
        assert alternative.regret == pytest.approx(10 * (len(spans) - 1) + late)


def _moves_by_hand(scene: Scene, start: int, wish: Wish) -> dict[Kind, float]:
    """The least regret of moving several spans together, by every hour up to a day and by every day."""
    zone, origin = ZoneInfo(scene.zone), scene.days[0]
    edges = scene.edges[start:]
    shown = [instant_of(edge).astimezone(zone).replace(tzinfo=None) for edge in edges]
    free = scene.free_minutes(wish.package.demand, wish.sharing)
    by_day = scene.granularity is Granularity.DAY
    hours = [24 * days for days in range(-4, 5)] + ([] if by_day else list(range(-23, 24)))
    best: dict[Kind, float] = {}

    def edge_at(minute: int, shift: timedelta, last: bool) -> int | None:
        if by_day:
            # Midnights that do not exist are those of their date all the same.
            before = instant_of(minute - 1 if last else minute).astimezone(zone).date()
            wall = datetime.combine(before + timedelta(days=last), time()) + shift
        else:
            wall = instant_of(minute).astimezone(zone).replace(tzinfo=None) + shift
        if wall < shown[0]:
            return None
        return next((edge for edge, moment in zip(edges, shown, strict=True) if moment >= wall), None)

    for shift in hours:
        moved: list[int] = []
        for span in wish.spans:
            for last, minute in enumerate(span.minutes):
                edge = edge_at(minute, timedelta(hours=shift), bool(last))
                moved += [] if edge is None else [edge]
        pairs = list(zip(moved[0::2], moved[1::2], strict=False))
        ordered = all(begin < end for begin, end in pairs) and moved == sorted(moved)
        if len(moved) < 2 * len(wish.spans) or not ordered:
            continue
        if all(all(free[begin - origin : end - origin]) for begin, end in pairs):
            late = (moved[0] - wish.spans[0].minutes[0]) / 60
            clocks = [
                instant_of(minute).astimezone(zone).time() for minute in (moved[0], wish.spans[0].minutes[0])
            ]
            rate = 0.75 if by_day or clocks[0] == clocks[1] else 1.0
            if late:
                kind, regret = (Kind.LATER, late * rate) if late > 0 else (Kind.EARLIER, -1.5 * late)
                best[kind] = min(regret, best.get(kind, regret))
    return best


@property_test
@given(scenes(), wishes, sharings, st.data())
def test_several_spans_move_to_the_nearest_time_at_which_all_fit(
    scene: Scene, demand: Resources, sharing: Sharing, data: st.DataObject
) -> None:
    wish = drawn_wish(data, scene, demand, sharing, 3)
    assume(len(wish.spans) > 1)
    start = data.draw(st.integers(0, len(scene.edges) - 2))
    found = alternatives(wish, [scene.place(sharing, start=start)], [], any_way)
    told = {alternative.kind: alternative.regret for alternative in found}
    assert told == pytest.approx(_moves_by_hand(scene, start, wish))


# -- single cases, in Europe/London around 28 March 2027, when clocks go forward --

FIRST = date(2027, 3, 22)
LARGE, MEDIUM, TINY = (
    package(name, Resources(cores=cores)) for name, cores in (("large", 4), ("medium", 2), ("tiny", 1))
)


def pool(
    entries: list[Entry],
    granularity: Granularity = Granularity.HOUR,
    name: str = "a",
    zone: str = "Europe/London",
) -> Place:
    place = ZoneInfo(zone)
    span = Span(day_start(place, FIRST), day_start(place, FIRST + 14 * DAY))
    timeline = Timeline.empty(*span.minutes).applied([Entry("physical", *span.minutes, "cores", 4), *entries])
    return Place(name, place, granularity, timeline, timeline.available, span.start, span.end)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2027, 3, day, hour, tzinfo=UTC)


def taken(start: datetime, end: datetime, amount: int = 4) -> Entry:
    return Entry("reserved", *Span(start, end).minutes, "cores", amount)


def wish(*spans: Span, size: Package = LARGE) -> Wish:
    return Wish(size, Sharing.RESERVED, spans)


def by_kind(found: list[Alternative]) -> dict[Kind, Alternative]:
    return {alternative.kind: alternative for alternative in found}


def only(kind: Kind) -> Callable[[Alternative], bool]:
    return lambda alternative: alternative.kind is kind


def test_the_same_hour_of_another_day_is_worth_a_longer_wait() -> None:
    # Free again from 12:00 the same day costs 30 - 8 = 22 hours; the same hour the next day costs 18.
    place = pool([taken(at(23, 10), at(24, 8))])
    found = by_kind(alternatives(wish(Span(at(23, 10), at(23, 12))), [place], [], only(Kind.LATER)))
    assert found[Kind.LATER].spans == (Span(at(24, 10), at(24, 12)),)
    assert found[Kind.LATER].regret == 18


def test_an_earlier_start_costs_half_as_much_again() -> None:
    place = pool([taken(at(23, 10), at(30))])
    found = alternatives(wish(Span(at(23, 10), at(23, 12))), [place], [], any_way)
    assert found[0].kind is Kind.EARLIER
    assert found[0].spans == (Span(at(23, 8), at(23, 10)),)
    assert found[0].regret == 3


def test_a_shorter_one_is_the_longest_free_part() -> None:
    place = pool([taken(at(23, 12), at(23, 13))])
    found = by_kind(alternatives(wish(Span(at(23, 10), at(23, 18))), [place], [], only(Kind.SHORTER)))
    assert found[Kind.SHORTER].spans == (Span(at(23, 13), at(23, 18)),)
    assert found[Kind.SHORTER].regret == 6


def test_a_smaller_one_is_the_largest_that_fits() -> None:
    place = pool([taken(at(23, 10), at(23, 12), 2)])
    asked = wish(Span(at(23, 10), at(23, 12)))
    found = by_kind(alternatives(asked, [place], [TINY, MEDIUM], only(Kind.SMALLER)))
    assert found[Kind.SMALLER].package is MEDIUM
    assert found[Kind.SMALLER].regret == 3
    assert not alternatives(asked, [pool([taken(at(23, 10), at(23, 12), 4)])], [TINY], only(Kind.SMALLER))


def test_a_smaller_one_that_is_not_allowed_gives_way_to_the_next() -> None:
    asked = wish(Span(at(23, 10), at(23, 12)))
    place = pool([taken(at(23, 10), at(23, 12), 2)])
    (found,) = alternatives(asked, [place], [MEDIUM, TINY], lambda other: other.package is TINY)
    assert (found.package, found.regret) == (TINY, 4.5)


def test_at_most_four_are_told_and_the_worst_are_left_out() -> None:
    place = pool([taken(at(23, 12), at(23, 13), 2)])
    found = alternatives(wish(Span(at(23, 10), at(23, 18))), [place, pool([], name="b")], [MEDIUM], any_way)
    assert [(best.kind, best.regret) for best in found] == [
        (Kind.LATER, 3),
        (Kind.POOL, 4),
        (Kind.SHORTER, 6),
        (Kind.EARLIER, 9),
    ]


def test_of_a_short_and_a_long_day_the_long_one_is_kept() -> None:
    # Sunday, 28 March has 23 hours.
    place = pool([], Granularity.DAY)
    two = Span(at(28), at(29, 23))
    (found,) = alternatives(wish(two), [place], [], only(Kind.SHORTER))
    assert found.spans == (Span(at(28, 23), at(29, 23)),)
    assert found.regret == 46


def test_a_day_of_25_hours_moves_to_one_day_and_not_to_two() -> None:
    zone = ZoneInfo("Europe/London")
    days = [day_start(zone, date(2026, 10, day)) for day in range(24, 30)]
    span = Span(days[0], days[-1])
    timeline = Timeline.empty(*span.minutes).applied([Entry("physical", *span.minutes, "cores", 4)])
    place = Place("a", zone, Granularity.DAY, timeline, timeline.available, span.start, span.end)
    (found,) = alternatives(wish(Span(days[1], days[2])), [place], [], only(Kind.LATER))
    assert found.spans == (Span(days[2], days[3]),)


def test_a_split_goes_around_what_is_taken() -> None:
    place = pool([taken(at(23, 14), at(23, 15)), taken(at(23, 19), at(30))])
    found = by_kind(alternatives(wish(Span(at(23, 10), at(23, 18))), [place], [], only(Kind.SPLIT)))
    assert found[Kind.SPLIT].spans == (Span(at(23, 10), at(23, 14)), Span(at(23, 15), at(23, 19)))
    assert found[Kind.SPLIT].regret == 11


def test_another_pool_at_the_same_time_costs_half_the_length() -> None:
    full = pool([taken(at(22), at(31))])
    later = pool([taken(at(22), at(23, 13))], name="b")
    free = pool([], name="c")
    asked = wish(Span(at(23, 10), at(23, 12)))
    (found,) = alternatives(asked, [full, later, free], [], only(Kind.POOL))
    assert (found.pool_id, found.spans, found.regret) == ("c", asked.spans, 1)
    (found,) = alternatives(asked, [full, later], [], only(Kind.POOL))
    assert (found.pool_id, found.spans, found.regret) == ("b", (Span(at(23, 13), at(23, 15)),), 4)


def test_a_day_pool_may_cover_the_hours_that_were_asked_of_an_hour_pool() -> None:
    full, days = pool([taken(at(22), at(31))]), pool([], Granularity.DAY, "b")
    (found,) = alternatives(wish(Span(at(23, 10), at(23, 12))), [full, days], [], only(Kind.POOL))
    assert found.spans == (Span(at(23), at(24)),)
    assert found.regret == 1


def test_two_spans_of_one_day_are_not_offered_twice_the_same_day_of_a_day_pool() -> None:
    full, days = pool([taken(at(22), at(31))]), pool([], Granularity.DAY, "b")
    same_day = wish(Span(at(23, 10), at(23, 12)), Span(at(23, 14), at(23, 16)))
    assert alternatives(same_day, [full, days], [], only(Kind.POOL)) == []
    two_days = wish(Span(at(23, 10), at(23, 12)), Span(at(24, 14), at(24, 16)))
    (found,) = alternatives(two_days, [full, days], [], only(Kind.POOL))
    assert found.spans == (Span(at(23), at(24)), Span(at(24), at(25)))


def test_equal_regrets_go_by_pool() -> None:
    full = pool([taken(at(22), at(31))])
    others = [pool([], name=name) for name in ("c", "b")]
    (found,) = alternatives(wish(Span(at(23, 10), at(23, 12))), [full, *others], [], only(Kind.POOL))
    assert found.pool_id == "b"


def test_nights_move_together_and_keep_the_wall_clock() -> None:
    # Friday and Sunday night around the clock change; the first is taken, a day later fits.
    nights = (Span(at(26, 20), at(27, 6)), Span(at(28, 19), at(29, 5)))
    place = pool([taken(at(22), at(27, 19))])
    found = by_kind(alternatives(wish(*reversed(nights)), [place], [], only(Kind.LATER)))
    moved = found[Kind.LATER]
    assert moved.spans == (Span(at(27, 20), at(28, 5)), Span(at(29, 19), at(30, 5)))
    walls = [span.start.astimezone(ZoneInfo("Europe/London")).hour for span in moved.spans]
    assert walls == [20, 20]
    assert moved.regret == 18


def test_several_spans_move_by_hours_within_the_day() -> None:
    spans = (Span(at(23, 10), at(23, 12)), Span(at(24, 10), at(24, 12)))
    place = pool([taken(at(24, 11), at(24, 14))])
    (found,) = alternatives(wish(*spans), [place], [], only(Kind.LATER))
    assert found.spans == (Span(at(23, 14), at(23, 16)), Span(at(24, 14), at(24, 16)))
    (found,) = alternatives(wish(*spans), [place], [], only(Kind.EARLIER))
    assert found.spans == (Span(at(23, 9), at(23, 11)), Span(at(24, 9), at(24, 11)))


def test_several_spans_are_neither_shortened_nor_split() -> None:
    spans = (Span(at(23, 10), at(23, 14)), Span(at(24, 10), at(24, 14)))
    place = pool([taken(at(23, 11), at(23, 12), 3)])
    kinds = by_kind(alternatives(wish(*spans), [place, pool([], name="b")], [TINY], any_way))
    assert kinds.keys() == {Kind.LATER, Kind.EARLIER, Kind.SMALLER, Kind.POOL}
    assert kinds[Kind.SMALLER].spans == kinds[Kind.POOL].spans == spans


def test_days_move_over_a_midnight_that_does_not_exist() -> None:
    zone = ZoneInfo("America/Havana")
    days = [day_start(zone, date(2027, 3, day)) for day in range(13, 18)]
    span = Span(day_start(zone, date(2027, 3, 10)), day_start(zone, date(2027, 3, 20)))
    entries = [Entry("physical", *span.minutes, "cores", 4), taken(days[0], days[1])]
    timeline = Timeline.empty(*span.minutes).applied(entries)
    place = Place("a", zone, Granularity.DAY, timeline, timeline.available, span.start, span.end)
    asked = wish(Span(days[0], days[1]), Span(days[2], days[3]))
    (found,) = alternatives(asked, [place], [], only(Kind.LATER))
    assert found.spans == (Span(days[1], days[2]), Span(days[3], days[4]))
    assert found.regret == 18
    back = wish(Span(days[1], days[2]), Span(days[3], days[4]))
    (found,) = alternatives(back, [place], [], only(Kind.EARLIER))
    assert found.spans[0].end == days[-5]


def test_a_refusal_by_policy_is_searched_past_and_a_bounded_number_of_times() -> None:
    asked = wish(Span(at(22, 0), at(31, 0)))
    calls = []

    def at_most_four_hours(alternative: Alternative) -> bool:
        calls.append(alternative)
        return alternative.kind is Kind.SHORTER and alternative.spans[0].length <= 4 * HOUR

    (found,) = alternatives(asked, [pool([])], [], at_most_four_hours)
    assert found.spans == (Span(at(22, 0), at(22, 4)),)
    assert len(calls) < 150


def test_a_start_too_far_ahead_is_moved_to_the_last_one_that_is_allowed() -> None:
    limit = at(25, 17)

    def near(alternative: Alternative) -> bool:
        return alternative.kind is Kind.EARLIER and alternative.spans[0].start <= limit

    (found,) = alternatives(wish(Span(at(31, 10), at(31, 12))), [pool([])], [], near)
    assert found.spans == (Span(limit, limit + 2 * HOUR),)


def test_only_the_last_of_many_may_be_allowed() -> None:
    last = at(31, 0) + 5 * DAY - 3 * HOUR

    def only_last(alternative: Alternative) -> bool:
        return alternative.spans[0].start == last

    (found,) = alternatives(wish(Span(at(22, 0), at(22, 2))), [pool([])], [], only_last)
    assert found.spans == (Span(last, last + 2 * HOUR),)


def test_a_wish_before_the_present_is_not_made_smaller() -> None:
    early = Span(at(21, 10), at(21, 12))
    kinds = by_kind(alternatives(wish(early), [pool([])], [TINY], any_way))
    assert kinds.keys() == {Kind.LATER}


def test_a_wish_off_the_grid_is_neither_made_smaller_nor_lost() -> None:
    odd = Span(at(23, 10) + timedelta(minutes=20), at(23, 12) + timedelta(minutes=20))
    kinds = by_kind(alternatives(wish(odd), [pool([])], [TINY], any_way))
    assert Kind.SMALLER not in kinds
    assert kinds[Kind.LATER].spans == (Span(at(23, 11), at(23, 13)),)
    assert kinds[Kind.SHORTER].spans == (Span(at(23, 11), at(23, 12)),)


def test_a_pool_without_time_left_offers_nothing() -> None:
    place = pool([])
    closed = Place(**{**vars(place), "horizon": place.start_from})
    single, double = wish(Span(at(23, 10), at(23, 12))), wish(Span(at(23), at(24)), Span(at(25), at(26)))
    for asked in (single, double):
        assert alternatives(asked, [closed], [TINY], any_way) == []
    assert not alternatives(double, [pool([taken(at(22), at(31) + 7 * DAY)]), closed], [], only(Kind.POOL))


def test_a_wish_needs_a_span_and_a_place() -> None:
    with pytest.raises(ValueError, match="at least one span"):
        Wish(LARGE, Sharing.RESERVED, ())
    with pytest.raises(ValueError, match="at least the place"):
        alternatives(wish(Span(at(23), at(24))), [], [], any_way)
