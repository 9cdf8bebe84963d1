"""Where the twins keep their records: in this process, or in a folder that several processes see."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from booking.adapters.base import outside_name


class Clock(Protocol):
    """What the twin needs of the clock door."""

    def now(self) -> datetime: ...


@dataclass(frozen=True)
class Event:
    """A cluster that was really made or really destroyed; repeated calls leave no second event."""

    kind: Literal["created", "destroyed"]
    reservation_id: str
    at: datetime


class Memory:
    """The outside in this process."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.events: list[Event] = []
        self._lock = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._lock:
            yield

    def read(self, reservation_id: str) -> dict[str, Any] | None:
        return self.records.get(reservation_id)

    def write(self, reservation_id: str, record: dict[str, Any]) -> None:
        self.records[reservation_id] = record

    def remove(self, reservation_id: str) -> None:
        self.records.pop(reservation_id, None)

    def names(self) -> list[str]:
        return list(self.records)

    def append(self, event: Event) -> None:
        self.events.append(event)

    def history(self) -> list[Event]:
        return list(self.events)


class Folder:
    """The outside in a folder: one JSON file a cluster, replaced as a whole, and a list of events."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._events = folder / "events.jsonl"

    @contextmanager
    def alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self, reservation_id: str) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self._path(reservation_id).read_text())
        except FileNotFoundError:
            return None
        return record

    def write(self, reservation_id: str, record: dict[str, Any]) -> None:
        path = self._path(reservation_id)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(json.dumps(record))
        fresh.replace(path)

    def remove(self, reservation_id: str) -> None:
        self._path(reservation_id).unlink(missing_ok=True)

    def names(self) -> list[str]:
        return [path.stem.removeprefix("bk-") for path in self._folder.glob("bk-*.json")]

    def append(self, event: Event) -> None:
        line = json.dumps([event.kind, event.reservation_id, event.at.isoformat()])
        with self._events.open("a") as file:
            file.write(line + "\n")

    def history(self) -> list[Event]:
        if not self._events.exists():
            return []
        lines = (json.loads(line) for line in self._events.read_text().splitlines())
        return [Event(kind, name, datetime.fromisoformat(at)) for kind, name, at in lines]

    def _path(self, reservation_id: str) -> Path:
        return self._folder / f"{outside_name(reservation_id)}.json"
