"""Timelines as few bytes: differences from slot to slot, which are nearly all zero, compressed."""

from __future__ import annotations

import zlib

import numpy as np

from booking.allocator.resources import KINDS
from booking.allocator.timeline import SIDES, Amounts, ShareRatio, Timeline

_ROWS = len(SIDES) * len(KINDS)
_NUMBER = np.dtype("<i8")
_LEVEL = 1
"""Of compression: the zeros go at any level, and this one is the quickest."""


def packed(timeline: Timeline) -> bytes:
    """The marks and the amounts of a timeline; its ratio belongs to the pool. O(slots)."""
    amounts = timeline.amounts.reshape(_ROWS, timeline.slots)
    parts = (_steps(timeline.marks[np.newaxis]), _steps(amounts))
    return zlib.compress(b"".join(part.astype(_NUMBER).tobytes() for part in parts), _LEVEL)


def unpacked(data: bytes, ratio: ShareRatio) -> Timeline:
    """The timeline that was packed.

    :raises ValueError: if the bytes are not those of a timeline.
    """
    try:
        numbers = np.frombuffer(zlib.decompress(data), dtype=_NUMBER).astype(np.int64)
    except zlib.error:
        raise ValueError("not a packed timeline") from None
    slots, left = divmod(len(numbers) - 1, _ROWS + 1)
    if left or slots < 1:
        raise ValueError("not a packed timeline")
    marks = np.cumsum(numbers[: slots + 1])
    amounts = np.cumsum(numbers[slots + 1 :].reshape(_ROWS, slots), axis=1)
    return Timeline(marks, amounts.reshape(len(SIDES), len(KINDS), slots), ratio)


def _steps(rows: Amounts) -> Amounts:
    """Each row as its first number and then the differences."""
    return np.diff(rows, axis=1, prepend=0)
