"""Those who use the service all the time: readers, and bookers whose clusters come and go."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import requests

from booking.identity import SHELF_BYTES
from tests.e2e.service import SECONDS, Service

_STEP_SECONDS = 0.1
_PATIENCE = 1200
_OVER = {"ended", "cancelled", "failed", "expired"}


@dataclass
class People:
    """Several at once, each with a connection of its own, which is closed when they have gone."""

    service: Service
    seed: int
    answered: Counter[int] = field(default_factory=Counter)
    cycles: int = 0
    """Clusters that were made and have gone."""
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._package = str(self.service.json("GET", "/packages")["items"][0]["name"])

    def come(self, readers: int, requests_each: int, bookers: int, cycles_each: int) -> None:
        """Let them all do their part, and wait for the last."""
        with ThreadPoolExecutor(readers + bookers) as hands:
            done = [hands.submit(self._read, number, requests_each) for number in range(readers)]
            done += [hands.submit(self._cycle, cycles_each) for _ in range(bookers)]
            for one in done:
                one.result()

    def fill_shelf(self) -> None:
        """Ask for different calendars until a process keeps as many as it may: a cache that fills is no leak."""
        size, today = 0, datetime.now(UTC).date()
        with self._session() as session:
            for number in count():
                first = today + timedelta(days=number % 100)
                window = {
                    "from": first.isoformat(),
                    "to": (first + timedelta(days=60 + number // 100)).isoformat(),
                }
                answer = self._ask(session, "GET", "api/v1/availability", params=window)
                size += len(answer.content)
                if size > SHELF_BYTES or answer.status_code != 200:
                    return

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.service.token}"
        return session

    def _ask(self, session: requests.Session, method: str, path: str, **more: Any) -> requests.Response:
        answer = session.request(method, self.service.url + path, timeout=SECONDS, **more)
        with self._lock:
            self.answered[answer.status_code] += 1
            if answer.status_code >= 400 and answer.status_code != 503:
                self.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def _read(self, number: int, times: int) -> None:
        dice = random.Random(f"{self.seed} {number}")
        with self._session() as session:
            for _ in range(times):
                first = datetime.now(UTC).date() + timedelta(days=dice.randrange(30))
                window = {"from": first.isoformat(), "to": (first + timedelta(days=7)).isoformat()}
                path = dice.choice(
                    ("calendar", "api/v1/availability", "api/v1/bookings", "api/v1/packages", "healthz")
                )
                self._ask(session, "GET", path, params=window if path == "api/v1/availability" else None)

    def _cycle(self, times: int) -> None:
        with self._session() as session:
            for _ in range(times):
                self._live(session)

    def _live(self, session: requests.Session) -> None:
        """A cluster from its booking to its end; 503 is for a machine that has too much to do."""
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        span = {"start": start.isoformat(), "end": (start + timedelta(hours=2)).isoformat()}
        body = {"package": self._package, "sharing": "shared", "spans": [span]}
        answer = self._ask(session, "POST", "api/v1/bookings", json=body)
        if answer.status_code != 201:
            return
        path = f"api/v1/bookings/{answer.json()['id']}"
        active = self._until(session, path, {"active"})
        self._ask(session, "DELETE", path)
        if active and self._until(session, path, _OVER):
            with self._lock:
                self.cycles += 1

    def _until(self, session: requests.Session, path: str, states: set[str]) -> bool:
        pause = threading.Event()
        for _ in range(_PATIENCE):
            if self._ask(session, "GET", path).json().get("state") in states:
                return True
            pause.wait(_STEP_SECONDS)
        self.faults.append(f"{path} never came to {sorted(states)}")
        return False
