"""The whole service is killed at random moments of many bookings' lives; what was answered is kept, the rest is whole."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from booking.adapters.null import NullProvisioner
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.services import setup, tokens
from tests.support.site import make_site, until

KILLS = int(os.environ.get("BOOKING_TEST_KILLS", "4"))
CLIENTS = 4
DEADLINE = 150.0
FINAL = {"ended", "cancelled", "expired", "failed"}
pytestmark = [pytest.mark.slow]


class Service:
    """`booking serve` in a process group of its own, with the twin as its outside."""

    def __init__(self, home: Path, url: str) -> None:
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BOOKING_")},
            "BOOKING_HOME": str(home),
            "BOOKING_DATABASE_URL": url,
            "BOOKING_PROVISIONER": "null",
            "BOOKING_TICK_SECONDS": "0.1",
            "BOOKING_LEADERSHIP_SECONDS": "1",
            "BOOKING_RECONCILE_SECONDS": "1",
        }
        self.address = ""
        self.process: subprocess.Popen[str] | None = None

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "booking.cli", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "booking.cli", "serve", "--port", "0"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://\S+?/", line):
                self.address = found.group()
                return
        raise AssertionError("the service did not come up")

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def running(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.kill()


class Clients:
    """They book, extend and cancel, try again what was not answered, and remember every answer."""

    def __init__(self, service: Service, token: str, seed: int) -> None:
        self.service, self.dice = service, random.Random(seed)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.kept: dict[str, str] = {}
        """Booking by idempotency key, for every key that was answered 201."""
        self.cancelled: set[str] = set()
        self.wrong: list[str] = []
        self.stop = threading.Event()
        self.lock = threading.Lock()

    def call(self, method: str, path: str, **more: Any) -> requests.Response | None:
        """One request; None where the service was killed before it answered."""
        headers = self.headers | more.pop("headers", {})
        try:
            url = f"{self.service.address}api/v1/{path}"
            answer = requests.request(method, url, headers=headers, timeout=10, **more)
        except requests.RequestException:
            return None
        if answer.status_code >= 500 and answer.status_code != 503:
            self.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def live(self, number: int) -> None:
        """One client's life: key after key, each tried until it is answered."""
        turn = 0
        while not self.stop.is_set():
            turn += 1
            key = f"client{number}-{turn}"
            start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            start += timedelta(hours=self.dice.choice([0, 0, 0, 24, 48]))
            body = {
                "package": self.dice.choice(["tiny", "small"]),
                "sharing": "shared",
                "spans": [{"start": start.isoformat(), "end": (start + timedelta(hours=2)).isoformat()}],
            }
            answer = None
            while answer is None and not self.stop.is_set():
                answer = self.call("POST", "bookings", json=body, headers={"Idempotency-Key": key})
                self.stop.wait(0.05)
            if answer is not None and answer.status_code == 201:
                self.use(key, answer.json())

    def use(self, key: str, booking: dict[str, Any]) -> None:
        with self.lock:
            if self.kept.setdefault(key, booking["id"]) != booking["id"]:
                self.wrong.append(f"two bookings for the key {key}")
        self.stop.wait(self.dice.random() * 0.6)
        if self.dice.random() < 0.8:
            answer = self.call("DELETE", f"bookings/{booking['id']}")
            if answer is not None and answer.status_code == 204:
                self.cancelled.add(booking["id"])


def prepared(url: str) -> str:
    """A roomy pool, two packages, and somebody's token."""
    engine = open_engine(url)
    clock = SystemClock()
    site = make_site(Doors(clock, SystemIds(), Db(engine, clock)))
    site.pool(4000, 4_000_000)
    site.package("tiny", 2)
    site.package("small", 3)
    site.person("service")
    setup.bare(site.ctx)
    token = tokens.make(site.ctx, None, "service", ["bookings:read", "bookings:write"])
    engine.dispose()
    return token.secret


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_nothing_answered_is_lost_and_nothing_is_left_running(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    service = Service(tmp_path / "home", url)
    (tmp_path / "home").mkdir()
    token = prepared(url)
    dice = random.Random(7)
    clients: Clients | None = None
    threads: list[threading.Thread] = []
    for _ in range(KILLS):
        with running(service):
            if clients is None:
                clients = Clients(service, token, seed=7)
                threads = [threading.Thread(target=clients.live, args=(n,)) for n in range(CLIENTS)]
                for thread in threads:
                    thread.start()
            threading.Event().wait(0.3 + 2.5 * dice.random())  # chance chooses the moment of the kill
    assert clients is not None
    with running(service):
        clients.stop.set()
        for thread in threads:
            thread.join()
        check(service, clients, tmp_path / "home")


def check(service: Service, clients: Clients, home: Path) -> None:
    """Every answer holds, every cancelled booking comes to its end, and the outside is what is booked."""
    assert clients.wrong == []
    assert len(clients.kept) > KILLS
    started = time.monotonic()
    seen: dict[str, dict[str, Any]] = {}

    def settled() -> bool:
        seen.clear()
        for booking_id in clients.kept.values():
            answer = clients.call("GET", f"bookings/{booking_id}")
            assert answer is not None
            assert answer.status_code == 200, f"{booking_id} was answered 201 and is lost"
            seen[booking_id] = answer.json()
        states = {seen[booking_id]["state"] for booking_id in clients.cancelled}
        waiting = [b for b in seen.values() if b["state"] == "preparing"]
        return states <= FINAL and not waiting

    def wait() -> None:
        assert time.monotonic() - started < DEADLINE, {b["id"]: b["state"] for b in seen.values()}
        threading.Event().wait(0.3)

    until(settled, wait)
    active = {r["id"] for b in seen.values() for r in b["reservations"] if r["state"] == "active"}
    outside = NullProvisioner(SystemClock(), home / "null")
    until(
        lambda: active <= outside.inventory() and len(outside.inventory() - live(service, clients)) == 0, wait
    )
    verified = service.command("verify")
    assert verified.returncode == 0, verified.stdout


def live(service: Service, clients: Clients) -> set[str]:
    """The reservations of this account in which something may exist outside."""
    found: set[str] = set()
    cursor: str | None = None
    while True:
        query = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
        answer = clients.call("GET", "bookings", params=query)
        assert answer is not None
        page = answer.json()
        for booking in page["items"]:
            found |= {
                r["id"] for r in booking["reservations"] if r["state"] in ("preparing", "active", "ending")
            }
        cursor = page["next"]
        if cursor is None:
            return found
