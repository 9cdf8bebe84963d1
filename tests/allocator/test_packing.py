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


@given(some_entries)
def test_a_timeline_comes_out_as_it_went_in(entries: list[Entry]) -> None:
    before = Timeline.empty(FIRST, LAST, ratio=ShareRatio(2500)).applied(entries)
    after = unpacked(packed(before), ShareRatio(2500))
    assert (after.marks == before.marks).all()
    assert (after.amounts == before.amounts).all()
    assert after.ratio == before.ratio


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", zlib.compress(b""), zlib.compress(np.arange(5, dtype="<i8").tobytes())]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a packed timeline"):
        unpacked(data, ShareRatio())
