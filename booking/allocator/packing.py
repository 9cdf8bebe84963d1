"""Timelines as few bytes: differences from slot to slot, in numbers no wider than they need, compressed where it pays."""

from __future__ import annotations

import zlib

import numpy as np

from booking.allocator.resources import KINDS
from booking.allocator.timeline import SIDES, Amounts, ShareRatio, Timeline

_MARK = b"booking timeline 2\n"
_ROWS = len(SIDES) * len(KINDS)
_NUMBER = np.dtype("<i8")
_HEAD = 4 * (_ROWS + 2)
"""Numbers before the differences: how many slots, and four of each row and of the marks."""
_LEVEL = 1
"""Of compression: to unpack takes as long at any level, and this one is the quickest to pack."""
_WIDTHS = (1, 2, 4, 8)
"""Bytes of a difference. To unpack takes time by bytes, so that they are as narrow as their row allows."""
_WORTH = 0.5
"""What does not become smaller than this part is not compressed: that takes ten times as long as to copy it."""


def packed(timeline: Timeline) -> bytes:
    """The marks and the amounts of a timeline; its ratio belongs to the pool. O(slots)."""
    rows = (timeline.marks, *timeline.amounts.reshape(_ROWS, timeline.slots))
    heads, parts = zip(*map(_steps, rows), strict=True)
    head = np.array([(timeline.slots, 0, 0, 0), *heads], dtype=_NUMBER)
    return _MARK + head.tobytes() + b"".join(parts)


def unpacked(data: bytes, ratio: ShareRatio) -> Timeline:
    """The timeline that was packed.

    :raises ValueError: if the bytes are not those of a timeline, or were packed by another release.
    """
    if not data.startswith(_MARK):
        raise ValueError("not a packed timeline")
    head = np.frombuffer(data, dtype=_NUMBER, count=_HEAD, offset=len(_MARK)).reshape(-1, 4)
    slots, at = int(head[0, 0]), len(_MARK) + head.nbytes
    marks = np.empty(slots + 1, dtype=np.int64)
    amounts = np.empty((_ROWS, slots), dtype=np.int64)
    for row, (first, scale, width, length) in zip((marks, *amounts), head[1:].tolist(), strict=True):
        _fill(row, data[at : at + length], (first, scale, width))
        at += length
    if at != len(data):
        raise ValueError("not a packed timeline")
    return Timeline(marks, amounts.reshape(len(SIDES), len(KINDS), slots), ratio)


def _steps(row: Amounts) -> tuple[tuple[int, int, int, int], bytes]:
    """The first number of a row, what all differences are multiples of, their width, and how many bytes follow."""
    steps = np.diff(row)
    scale = int(np.gcd.reduce(steps)) if len(steps) else 0
    if not scale:
        return (int(row[0]), 0, 0, 0), b""
    steps //= scale
    most = int(np.abs(steps).max())
    width = next(width for width in _WIDTHS if most < 1 << (8 * width - 1))
    plain = steps.astype(f"<i{width}").tobytes()
    small = zlib.compress(plain, _LEVEL)
    part = small if len(small) < len(plain) * _WORTH else plain
    return (int(row[0]), scale, width, len(part)), part


def _fill(row: Amounts, part: bytes, numbers: tuple[int, int, int]) -> None:
    first, scale, width = numbers
    if not scale:
        row.fill(first)
        return
    plain = len(row[1:]) * width
    try:
        given = part if len(part) == plain else zlib.decompress(part)
    except zlib.error:
        raise ValueError("not a packed timeline") from None
    np.multiply(np.frombuffer(given, dtype=f"<i{width}", count=len(row) - 1), np.int64(scale), out=row[1:])
    row[0] = first
    row.cumsum(out=row)
