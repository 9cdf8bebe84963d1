"""A shelf: what a process has made before, by everything that it was made from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TypeVar

from booking import metrics

T = TypeVar("T", bytes, str)

LARGEST_PART = 8
"""What would take more than this part of a shelf is not put there: it would push out too much."""


class Shelf:
    """Texts that are made again only if their key is another; what was not asked for longest goes first.

    A key must say everything that the text depends on, and so whose it is where it is anybody's. Threads
    share a shelf: each act on it is one of the interpreter, and at worst a text is made twice.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._texts: OrderedDict[Hashable, bytes | str] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The text of that key, made at first need."""
        found = self._texts.get(key)
        if found is None:
            metrics.SHELF_MADE.inc()
            made = make()
            self._put(key, made)
            return made
        metrics.SHELF_FOUND.inc()
        try:
            self._texts.move_to_end(key)
        except KeyError:  # another thread has just thrown it away
            self._put(key, found)
        return found  # type: ignore[return-value]  # a key stands for one kind of text

    def _put(self, key: Hashable, text: bytes | str) -> None:
        if len(text) > self._most // LARGEST_PART:
            return
        self._texts[key] = text
        while self.size > self._most and len(self._texts) > 1:
            with suppress(KeyError):  # other threads throw away, too
                self._texts.popitem(last=False)

    @property
    def size(self) -> int:
        """How long the texts are together."""
        return sum(map(len, list(self._texts.values())))
