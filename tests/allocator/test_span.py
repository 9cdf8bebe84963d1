"""Spans: half-open, aware, on whole minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.span import EPOCH, Span, floor_minute, instant_of, merged, minute_of
from tests.allocator.scenes import property_test

TEN = datetime(2027, 1, 1, 10, tzinfo=UTC)
minutes = st.integers(0, 60)


def hours(start: int, end: int) -> Span:
    return Span(TEN + timedelta(hours=start), TEN + timedelta(hours=end))


def test_minutes_count_from_the_epoch() -> None:
    assert minute_of(EPOCH) == 0
    assert minute_of(EPOCH - timedelta(hours=1)) == -60
    assert instant_of(minute_of(TEN)) == TEN


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="offset from UTC"):
        minute_of(datetime(2027, 1, 1))  # noqa: DTZ001 - this is what is refused


def test_an_instant_between_two_minutes_is_refused() -> None:
    with pytest.raises(ValueError, match="whole minute"):
        minute_of(TEN + timedelta(seconds=1))


def test_an_instant_is_cut_to_its_minute() -> None:
    assert floor_minute(TEN + timedelta(seconds=59, microseconds=1)) == TEN
    assert floor_minute(TEN) == TEN


@pytest.mark.parametrize("end", [TEN, TEN - timedelta(minutes=1)])
def test_a_span_ends_after_it_starts(end: datetime) -> None:
    with pytest.raises(ValueError, match="ends after it starts"):
        Span(TEN, end)
    with pytest.raises(ValueError, match="ends after it starts"):
        Span.of_minutes(minute_of(TEN), minute_of(end))


def test_a_span_is_kept_in_utc() -> None:
    east = timezone(timedelta(hours=5, minutes=45))
    span = Span(TEN.astimezone(east), (TEN + timedelta(hours=1)).astimezone(east))
    assert span == hours(0, 1)
    assert span.start.tzinfo is UTC
    assert span.length == timedelta(hours=1)


def test_spans_that_only_touch_do_not_overlap() -> None:
    assert not hours(0, 1).overlaps(hours(1, 2))
    assert not hours(1, 2).overlaps(hours(0, 1))
    assert hours(0, 3).overlaps(hours(1, 2))
    assert hours(1, 2).overlaps(hours(0, 3))


def test_a_span_holds_its_start_but_not_its_end() -> None:
    assert hours(0, 1).contains(TEN)
    assert not hours(0, 1).contains(TEN + timedelta(hours=1))


def test_a_shifted_span_keeps_its_length() -> None:
    assert hours(0, 2).shifted(timedelta(hours=3)) == hours(3, 5)


@property_test
@given(st.lists(st.tuples(minutes, minutes).filter(lambda pair: pair[0] < pair[1])))
def test_merging_keeps_every_moment_and_nothing_else(pairs: list[tuple[int, int]]) -> None:
    spans = merged(Span.of_minutes(*pair) for pair in pairs)
    covered = {minute for start, end in pairs for minute in range(start, end)}
    assert {minute for span in spans for minute in range(*span.minutes)} == covered
    assert all(before.end < after.start for before, after in pairwise(spans))
