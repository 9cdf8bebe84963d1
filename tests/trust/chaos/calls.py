"""Calls over HTTP that are repeated until they are answered, and a tally of everything that came back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

HANG_SECONDS = 10.0
"""Every request is answered within so long."""
_TIMEOUT = 30.0
_PROBLEM = "application/problem+json"


class NeverAnswered(Exception):
    """The service did not come back within the patience of a client."""


@dataclass
class Tally:
    """What all clients saw; a fault is an answer that must never be."""

    answers: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    """Requests whose connection ended without an answer, as when a web process is killed."""
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, answer: requests.Response | None, took: float, excused: bool = False) -> None:
        """Count an answer, or that there was none."""
        with self._lock:
            if not excused:
                self.slowest = max(self.slowest, took)
            if took > HANG_SECONDS and not excused:
                self.faults.append(f"{what}: {took:.1f} s until an answer")
            if answer is None:
                self.cut += 1
            else:
                self.answers[answer.status_code] += 1
                self.faults += [f"{what}: {fault}" for fault in wrong_with(answer)]

    @property
    def asked(self) -> int:
        return self.answers.total() + self.cut

    @property
    def errors(self) -> int:
        """Answers of the server's fault that are not 503."""
        return sum(count for status, count in self.answers.items() if status >= 500 and status != 503)


def wrong_with(answer: requests.Response) -> list[str]:
    """What is wrong with an answer, whatever was asked."""
    if answer.status_code < 500:
        return []
    if answer.status_code != 503:
        return [f"answered {answer.status_code}: {answer.text[:200]}"]
    found = []
    if not answer.headers.get("Retry-After", "").isdigit():
        found.append("503 without Retry-After")
    if "/api/" in answer.url and answer.headers.get("Content-Type") != _PROBLEM:
        found.append("503 without a problem document")
    return found


def _is_undecided(answer: requests.Response) -> bool:
    """Whether others were quicker, so that nothing was decided."""
    return answer.status_code == 409 and answer.json()["code"] == "booking.concurrent_update"


@dataclass
class Caller:
    """One client with a token, who repeats what got no answer."""

    url: str
    token: str
    tally: Tally
    patience: float = 90.0
    is_excused: Callable[[float, float], bool] = lambda _began, _ended: False
    """Whether no web process was there at some moment between two instants (of `time.time`)."""

    def once(self, method: str, path: str, **more: Any) -> requests.Response | None:
        """One request; None if the connection ended without an answer."""
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        wall, began = time.time(), time.monotonic()
        try:
            answer = requests.request(
                method, self.url + path, headers=headers, timeout=_TIMEOUT, allow_redirects=False, **more
            )
        except requests.RequestException:
            answer = None
        took = time.monotonic() - began
        self.tally.note(f"{method} {path}", answer, took, self.is_excused(wall, time.time()))
        return answer

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """The first answer that decides something.

        :raises NeverAnswered: if none came in time.
        """
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            answer = self.once(method, path, **dict(more))
            if answer is not None and answer.status_code < 500 and not _is_undecided(answer):
                return answer
            time.sleep(0.2)
        raise NeverAnswered(f"{method} {path}: no answer in {self.patience:.0f} s")
