"""People who book, hold, confirm, extend and cancel, and remember what they were told."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.trust.chaos.calls import Caller, NeverAnswered

HOUR = timedelta(hours=1)
POPULAR = 4
"""So many hours are wanted by everybody, so that capacity refuses some."""


@dataclass
class Told:
    """One booking as its owner was last told."""

    key: str
    id: str
    held: bool = False
    """A hold that nobody confirmed."""
    starts_now: bool = False
    cancelled: bool = False
    end: str = ""


@dataclass
class Crowd:
    """What all clients together were told, and what contradicts itself."""

    told: list[Told] = field(default_factory=list)
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


class Client:
    """One of them; a key is never used for two intentions."""

    def __init__(self, number: int, seed: int, caller: Caller, crowd: Crowd, pause: float) -> None:
        self._number = number
        self._dice = random.Random(f"{seed}/{number}")
        self._caller = caller
        self._crowd = crowd
        self._pause = pause
        self._booked = 0

    def live(self) -> None:
        """Act until told to stop; what is begun is finished."""
        while not self._crowd.stop.is_set():
            try:
                self._one()
            except NeverAnswered as error:
                self._crowd.faults.append(str(error))
            self._crowd.stop.wait(self._pause * 2 * self._dice.random())

    def _one(self) -> None:
        dice, key = self._dice, f"{self._number}-{self._booked}"
        self._booked += 1
        told = Told(key, "", held=dice.random() < 0.25, starts_now=dice.random() < 0.3)
        told.held = told.held and not told.starts_now
        body = self._body(told)
        answer = self._caller.ask("POST", "/bookings", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 409:
            self._crowd.refused += 1
            return
        if answer.status_code == 422 and told.starts_now and self._body_is_late(body):
            return
        if answer.status_code != 201:
            self._crowd.faults.append(f"book: {answer.status_code} {answer.text[:200]}")
            return
        booking = answer.json()
        told.id, told.end = booking["id"], booking["reservations"][0]["end"]
        self._crowd.told.append(told)
        if dice.random() < 0.3:
            again = self._caller.ask("POST", "/bookings", json=body, headers={"Idempotency-Key": key})
            if again.status_code != 201 or again.json() != booking:
                self._crowd.faults.append(f"the key {key} was answered differently the second time")
        self._go_on(told, booking)

    def _body(self, told: Told) -> dict[str, Any]:
        dice, hour = self._dice, datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        start = hour
        if not told.starts_now:
            far = dice.randrange(POPULAR) if dice.random() < 0.2 else dice.randrange(24 * 60)
            start = hour + (24 + far) * HOUR
        end = start + dice.randint(3 if told.starts_now else 1, 4) * HOUR
        body: dict[str, Any] = {
            "package": "pair",
            "sharing": "reserved",
            "spans": [{"start": start.isoformat(), "end": end.isoformat()}],
            "title": told.key,
        }
        return body | ({"hold": "PT2H"} if told.held else {})

    @staticmethod
    def _body_is_late(body: dict[str, Any]) -> bool:
        """Whether the hour has turned since it was written: what begins in the hour before is refused, and rightly."""
        start = datetime.fromisoformat(body["spans"][0]["start"])
        return start < datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    def _go_on(self, told: Told, booking: dict[str, Any]) -> None:
        path, dice = f"/bookings/{told.id}", self._dice
        if told.held and dice.random() < 0.6:
            if self._done("POST", f"{path}/confirm") == 200:
                told.held = False
        elif not told.held and not told.starts_now and dice.random() < 0.3:
            self._extend(told, booking, path)
        # Few of those that begin at once stay: clusters are made and ended from the first minute to the last.
        if dice.random() < (0.99 if told.starts_now else 0.4):
            self._crowd.stop.wait(dice.random() * (4 if told.starts_now else 2))
            if self._done("DELETE", path) == 204:
                told.cancelled = True

    def _extend(self, told: Told, booking: dict[str, Any], path: str) -> None:
        reservation = booking["reservations"][0]
        end = (datetime.fromisoformat(reservation["end"]) + HOUR).isoformat()
        body = {"reservations": {reservation["id"]: {"end": end}}}
        answer = self._caller.ask("PATCH", path, json=body, headers={"If-Match": "*"})
        if answer.status_code == 200:
            told.end = answer.json()["reservations"][0]["end"]
        elif answer.status_code != 409:
            self._crowd.faults.append(f"extend: {answer.status_code} {answer.text[:200]}")

    def _done(self, method: str, path: str) -> int:
        answer = self._caller.ask(method, path)
        if answer.status_code >= 300:
            self._crowd.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code
