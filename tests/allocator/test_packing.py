"""What was packed comes out again, and what was not is refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.packing import packed, unpacked
from booking.allocator.resources import KINDS
from booking.allocator.timeline import Entry, ShareRatio, Side, Timeline

FIRST, LAST = 29_000_000, 29_000_400
minutes = st.integers(FIRST, LAST)
spans = st.tuples(minutes, minutes).filter(lambda pair: pair[0] < pair[1])
some_entries = st.lists(
    st.builds(
        lambda side, span, kind, amount: Entry(side, span[0], span[1], kind, amount),
        st.sampled_from(list(Side)),
        spans,
        st.sampled_from(KINDS),
        st.integers(-(2**53), 2**53),
    ),
    max_size=20,
)


def _hours() -> Timeline:
    """A year of which every hour differs on one side, and every week on another."""
    year = np.arange(FIRST, FIRST + 60 * 8760, 60, dtype=np.int64)
    amounts = np.zeros((len(Side), len(KINDS), len(year) - 1), dtype=np.int64)
    amounts[0] = 1024 * np.random.default_rng(1).integers(0, 64, amounts[0].shape)
    amounts[-1, -1] = np.arange(len(year) - 1) // 168
    return Timeline(year, amounts)


HOURS = _hours()
YEAR = packed(HOURS)
WHOLE = packed(Timeline.empty(FIRST, LAST).applied([Entry(Side.PHYSICAL, FIRST + 1, LAST, KINDS[0], 5)]))


@given(some_entries)
def test_a_timeline_comes_out_as_it_went_in(entries: list[Entry]) -> None:
    before = Timeline.empty(FIRST, LAST, ratio=ShareRatio(2500)).applied(entries)
    after = unpacked(packed(before), ShareRatio(2500))
    assert (after.marks == before.marks).all()
    assert (after.amounts == before.amounts).all()
    assert after.ratio == before.ratio


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", zlib.compress(b""), WHOLE[:-1], WHOLE[:25], WHOLE + b"x", YEAR[:-9] + b"x" * 9]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a packed timeline|buffer"):
        unpacked(data, ShareRatio())


def test_a_year_of_hours_takes_few_bytes() -> None:
    assert len(packed(HOURS)) < HOURS.slots * 4 * 1.1
    assert (unpacked(packed(HOURS), ShareRatio()).amounts == HOURS.amounts).all()
