"""A shelf: what a process has made before, by everything that it was made from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TypeVar

from booking import metrics

T = TypeVar("T", bytes, str)

LARGEST_PART = 8
"""What would take more than this part of a shelf is not put there: it would push out too much."""
KEY_BYTES = 1024
"""What is counted for the key of a text, and for its place."""


class Shelf:
    """Texts that are made again only if their key is another; what was not asked for longest goes first.

    A key must say everything that the text depends on, and so whose it is where it is anybody's; long lists in
    it should be shared or digested, for it is kept as long as its text. Threads share a shelf: each act on it is
    one of the interpreter, and at worst a text is made twice. It is a plain dictionary for that: of an ordered
    one, not even a list can be made while others write.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._texts: dict[Hashable, bytes | str] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The text of that key, made at first need."""
        found = self._texts.get(key)
        if found is None:
            metrics.SHELF_MADE.inc()
            made = make()
            self._put(key, made)
            return made
        metrics.SHELF_FOUND.inc()
        # To the end of the order, also where another thread has just thrown it away.
        self._texts.pop(key, None)
        self._texts[key] = found
        return found  # type: ignore[return-value]  # a key stands for one kind of text

    def _put(self, key: Hashable, text: bytes | str) -> None:
        if _weight(text) > self._most // LARGEST_PART:
            return
        self._texts[key] = text
        while self.size > self._most and len(self._texts) > 1:
            with suppress(KeyError, RuntimeError):  # other threads throw away, too
                del self._texts[next(iter(self._texts))]

    @property
    def size(self) -> int:
        """Bytes that the texts take together, with their keys."""
        return sum(map(_weight, self._texts.copy().values()))


def _weight(text: bytes | str) -> int:
    """A character of a page takes two bytes as soon as one of them is not Latin."""
    return sys.getsizeof(text) + KEY_BYTES
