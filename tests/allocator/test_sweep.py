"""The sweep finds exactly the minutes at which the timelines are short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.resources import KINDS
from booking.allocator.sweep import Shortage, shortages
from booking.allocator.timeline import Entry, ShareRatio, Side, Timeline

FIRST, LAST = 100, 160
minutes = st.integers(FIRST - 20, LAST + 20)
spans = st.tuples(minutes, minutes).filter(lambda pair: pair[0] < pair[1])
some_entries = st.lists(
    st.builds(
        lambda side, span, kind, amount: Entry(side, span[0], span[1], kind, amount),
        st.sampled_from(list(Side)),
        spans,
        st.sampled_from(KINDS),
        st.integers(1, 5),
    ),
    max_size=30,
)


def test_nothing_is_short_of_nothing() -> None:
    assert shortages([], FIRST, LAST, 1000) == []


def test_a_shortage_tells_kind_amount_and_span() -> None:
    entries = [Entry("physical", 100, 160, "cores", 4), Entry("reserved", 110, 120, "cores", 6)]
    assert shortages(entries, FIRST, LAST, 1000) == [Shortage("cores", 2, 110, 120)]


def test_shared_claims_are_rounded_up_in_total() -> None:
    entries = [Entry("physical", 100, 160, "cores", 1)] + [Entry("shared", 100, 160, "cores", 1)] * 3
    assert shortages(entries, FIRST, LAST, 3000) == []
    assert shortages(entries, FIRST, LAST, 2999) == [Shortage("cores", 1, 100, 160)]


@given(some_entries, st.integers(1000, 4000))
def test_it_agrees_with_the_timeline_minute_by_minute(entries: list[Entry], ratio: int) -> None:
    timeline = Timeline.empty(FIRST, LAST, ratio=ShareRatio(ratio)).applied(entries)
    found = shortages(entries, FIRST, LAST, ratio)
    for index, kind in enumerate(KINDS):
        for minute in range(FIRST, LAST):
            free = int(timeline.available[index, timeline.slot_range(minute, minute + 1)[0]])
            short = sum(s.amount for s in found if s.kind == kind and s.start <= minute < s.end)
            assert short == max(-free, 0)
