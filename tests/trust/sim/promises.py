"""What clients were told, and whether it is still so after every commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from booking.allocator.span import Span, minute_of
from tests.trust.sim.rows import FINAL, Row

Answer = tuple[int, Any]
"""Status and body; status 0 is a connection that broke."""


@dataclass
class Promise:
    """One request to book, under one key, as its client knows it."""

    key: str
    """The title of the booking, which nobody else gives to theirs."""
    spans: tuple[Span, ...]
    pool: str
    side: str
    size: tuple[int, int]
    owner: str = ""
    answered: dict[str, Any] | None = None
    """The body of the first 201."""
    at: int = 10**18
    """When it was answered first, in the hub's time."""
    revision: int | None = None
    """What was last answered about the booking's revision."""
    send: Callable[[], None] | None = None
    """Ask once more for the same."""
    waits: bool = False
    """Whether it was refused, and waits for what was refused."""
    cancel_asked: bool = False
    cancelled: bool = False
    confirmed: bool = False
    ends: dict[str, int] = field(default_factory=dict)
    """By reservation, the end that was last answered, in minutes."""
    maybe: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The ends that were asked for without an answer: they may still come to be."""

    def answer(self, body: dict[str, Any]) -> None:
        """A 201 has arrived."""
        if self.answered is None:
            self.answered, self.revision = body, body["revision"]
            for reservation in body["reservations"]:
                self.ends[reservation["id"]] = reservation["end"]


class Promises:
    """All of them, by key; the key is also the booking's title."""

    def __init__(self) -> None:
        self.by_key: dict[str, Promise] = {}
        self.given_back: set[str] = set()
        """The titles of offers that somebody may have given back."""

    def ask(self, promise: Promise) -> Promise:
        self.by_key[promise.key] = promise
        return promise

    def broken(self, rows: Mapping[str, list[Row]]) -> Iterator[tuple[str, str]]:
        """The invariant and what breaks it, for each promise that is not kept; the rows are given by key."""
        for key, promise in self.by_key.items():
            yield from _broken(promise, rows.get(key, []))


def _broken(promise: Promise, rows: list[Row]) -> Iterator[tuple[str, str]]:
    ids = {row.booking_id for row in rows}
    if len(ids) > 1:
        yield "one booking for each key", f"{promise.key} has {sorted(ids)}"
    if promise.answered is None:
        return
    if promise.answered["id"] not in ids:
        yield "what was answered is kept", f"{promise.key}: there is no booking {promise.answered['id']}"
        return
    if sorted(row.start for row in rows) != sorted(minute_of(span.start) for span in promise.spans):
        yield "what was answered is kept", f"{promise.key}: its spans begin at other times"
    for row in rows:
        yield from _told(promise, row)


def _told(promise: Promise, row: Row) -> Iterator[tuple[str, str]]:
    if promise.cancelled and row.state not in FINAL and row.state != "ending":
        yield "what was cancelled stays so", f"{row.id} is {row.state}"
    if promise.confirmed and row.state in ("held", "expired"):
        yield "what was confirmed stays so", f"{row.id} is {row.state}"
    allowed = {promise.ends.get(row.id), *promise.maybe[row.id]}
    if row.state not in FINAL and row.state != "ending" and row.end not in allowed:
        yield "an end that was answered is kept", f"{row.id} ends at minute {row.end}"
