"""A board in shared memory on which clients post what they booked, so that others change it at once."""

from __future__ import annotations

import random
from multiprocessing.context import BaseContext
from typing import Any, NamedTuple

_SLOTS = 12
_WIDTH = 80


class Notice(NamedTuple):
    """A booking of one reservation, and the hour it starts."""

    pool: str
    booking: str
    reservation: str
    start: int


NOBODYS = Notice("", "nobody's", "nobody's", 0)


class Board:
    """The last bookings of each client."""

    def __init__(self, context: BaseContext, clients: int) -> None:
        self._clients = clients
        self._cells: Any = context.Array("c", clients * _SLOTS * _WIDTH)
        self._closed: Any = context.Value("b", 0)
        self._posted = 0

    @property
    def closed(self) -> bool:
        """Whether somebody has ended the race."""
        return bool(self._closed.value)

    def close(self) -> None:
        """Tell all clients that the race is over."""
        self._closed.value = 1

    def post(self, client: int, notice: Notice) -> None:
        text = "|".join(str(part) for part in notice).encode().ljust(_WIDTH)
        self._posted += 1
        self._put(client * _SLOTS + self._posted % _SLOTS, text)

    def draw(self, rng: random.Random) -> Notice:
        """Somebody's booking; nobody's where nothing is posted yet."""
        at = rng.randrange(self._clients * _SLOTS) * _WIDTH
        with self._cells.get_lock():
            text = self._cells.get_obj()[at : at + _WIDTH]
        if not text.strip(b" \0"):
            return NOBODYS
        pool, booking, reservation, start = text.decode().strip().split("|")
        return Notice(pool, booking, reservation, int(start))

    def clear(self) -> None:
        """Forget all of it."""
        for cell in range(self._clients * _SLOTS):
            self._put(cell, b" " * _WIDTH)

    def _put(self, cell: int, text: bytes) -> None:
        with self._cells.get_lock():
            self._cells.get_obj()[cell * _WIDTH : (cell + 1) * _WIDTH] = text
