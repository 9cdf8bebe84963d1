"""A service that is renewed again and again while requests come at a steady rate, and clusters are being made."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from booking.adapters.null import NullProvisioner
from booking.doors import SystemClock
from tests.adapters.waiting import eventually
from tests.e2e.service import IMAGINED, Service

_SETTINGS = IMAGINED | {"BOOKING_WORKERS": "1", "BOOKING_LEADERSHIP_SECONDS": "2"}


@dataclass
class Rolling:
    """How it went."""

    restarts: int = 0
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    """What each request that was not answered well ran into."""
    slowest: float = 0.0
    made: list[int] = field(default_factory=list)
    """How often each cluster was made that was wanted while the service was renewed."""
    gone: bool = True
    """Whether nothing was left of the processes that were replaced."""


class Steady:
    """Clients that ask in turn at a steady rate: some keep their connection, some come anew each time."""

    def __init__(self, service: Service, rate: float, threads: int = 4) -> None:
        self._address = urlsplit(service.url).netloc
        self._headers = {"Authorization": f"Bearer {service.token}"}
        self._gap = threads / rate
        self._stop = threading.Event()
        self.result = Rolling()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(threads)]

    def __enter__(self) -> Steady:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        keeps = number % 2 == 0
        connection = http.client.HTTPConnection(self._address, timeout=30)
        due = time.monotonic() + self._gap * random.Random(number).random()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += self._gap
            began, fault = time.monotonic(), ""
            try:
                headers = self._headers | ({} if keeps else {"Connection": "close"})
                connection.request("GET", "/api/v1/bookings", headers=headers)
                answer = connection.getresponse()
                answer.read()
                fault = "" if answer.status == http.client.OK else str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                fault = f"{type(error).__name__}: {error}"
                connection.close()
            with self._lock:
                self.result.requests += 1
                self.result.slowest = max(self.result.slowest, time.monotonic() - began)
                self.result.failed += [fault] if fault else []
        connection.close()


def roll(folder: Path, restarts: int, rate: float, settings: Mapping[str, str] | None = None) -> Rolling:
    """Renew a service so many times, each as soon as the one before is through."""
    service = Service(folder, settings=_SETTINGS | dict(settings or {}))
    try:
        room = ("--start", "2020-01-01", "--cores", "400", "--memory-mib", "999999", "--reason", "a drill")
        service.command("pool", "inventory", "add", "this-machine", *room)
        eventually(lambda: service.call("GET", "/bookings").ok)
        with Steady(service, rate) as steady:
            for number in range(restarts):
                before = service.part("gunicorn")
                _book(service)
                os.kill(service.process.pid, signal.SIGHUP)
                taken = number + 1
                eventually(lambda: service.log.count("the new web has taken over") >= taken)  # noqa: B023
                steady.result.restarts += _masters(service) != [before]
                eventually(lambda: len(_masters(service)) == 1)
            steady.result.made = _made(service, restarts)
        steady.result.gone = len(_masters(service)) == 1
        return steady.result
    finally:
        service.close()


def _masters(service: Service) -> list[int]:
    from booking.adapters.local import processes
    from tests.adapters.machine import running

    table = processes.table()
    return [pid for pid in running("gunicorn") if pid in table and table[pid].parent == service.process.pid]


def _book(service: Service) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    span = {"start": hour.isoformat(), "end": (hour + timedelta(hours=2)).isoformat()}
    body = {"package": "tiny", "sharing": "shared", "spans": [span]}
    service.json("POST", "/bookings", json=body)


def _made(service: Service, wanted: int) -> list[int]:
    """How often each was made, once all are active."""

    def active() -> list[str]:
        found = service.json("GET", "/bookings?limit=100")["items"]
        return [item["id"] for item in found if item["state"] == "active"]

    eventually(lambda: len(active()) >= wanted)
    outside = NullProvisioner(SystemClock(), service.home / "null")
    names = outside.inventory()
    return [outside.created(name) for name in sorted(names)]
