"""Doors for tests: a clock that only the test moves, and ids that are the same in every run."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

Opened = Callable[[str], Engine]
"""What the fixture `opened` gives: an engine by its URL."""
START = datetime(2030, 1, 7, 9, tzinfo=UTC)
"""Where the clock of a test stands at first: a Monday morning."""


class TestClock:
    """Time stands still until the test moves it, or somebody sleeps."""

    __test__ = False

    def __init__(self, now: datetime = START) -> None:
        self._now = _aware(now)
        self._monotonic = 0.0
        self._lock = threading.Lock()
        self.slept: list[float] = []
        """Every sleep that was asked for, in seconds."""

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        with self._lock:
            return self._monotonic

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        """Let time pass, on both clocks."""
        if by < timedelta():
            raise ValueError("time does not go back; use set")
        with self._lock:
            self._now += by
            self._monotonic += by.total_seconds()

    def set(self, now: datetime) -> None:
        """Set the wall clock, forwards or back, as an administrator would; monotonic time does not notice."""
        with self._lock:
            self._now = _aware(now)


class SequenceIds:
    """`new()` counts; ids sort in the order they were drawn. `secret()` is as long as a real one."""

    def __init__(self) -> None:
        self._ids = 0
        self._secrets = 0
        self._lock = threading.Lock()

    def new(self) -> str:
        with self._lock:
            self._ids += 1
            return f"test{self._ids:016d}"

    def secret(self) -> str:
        with self._lock:
            self._secrets += 1
            return hashlib.sha256(f"secret {self._secrets}".encode()).hexdigest()[:43]


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant needs an offset from UTC")
    return instant.astimezone(UTC)
