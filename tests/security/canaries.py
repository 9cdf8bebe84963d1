"""Secrets that nobody else would write, and every place where they might turn up."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests

from booking import logs
from booking.adapters.local import processes
from booking.services import bookings
from tests.adapters.waiting import eventually
from tests.e2e.service import SECONDS, Running, Service
from tests.security.classes import bearer
from tests.security.table import WISH
from tests.security.world import World

PASSWORD, WRONG = "canary-password-7f3a", "canary-wrong-password-91bc"
NOTEBOOK = "https://notebooks.example/a.ipynb?token=canary-notebook-5d2e"
ANSWER = "canary-title-of-an-answer-0c44"
SECRET_KEY = "canary-secret-key-3e11" * 2
DATABASE = "canary-database-password-88aa"
METRICS = "canary-metrics-token-2f90"
SESSION, TOKEN, FEED = "session cookie", "token", "feed"
_NOISY = ("sqlalchemy", "asyncio", "playwright", "urllib3")


@dataclass
class Hunt:
    """The canaries by their kind, the places that were searched, and where one was found."""

    canaries: dict[str, str]
    places: int = 0
    leaks: list[str] = field(default_factory=list)

    def search(self, place: str, text: str) -> None:
        """Look for every canary in a text."""
        self.places += 1
        self.leaks += [f"{kind} in {place}" for kind, secret in self.canaries.items() if secret in text]


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Every record of every logger at DEBUG, as text and as JSON, tracebacks too; of SQL the statements, whose
    rows nobody logs."""
    lines: list[str] = []
    formatters = (logs.Text(), logs.Json())
    handler = logging.Handler()
    handler.emit = lambda record: lines.extend(each.format(record) for each in formatters)  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("", "booking", *_NOISY)]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.INFO if logger.name in _NOISY else logging.DEBUG)
    try:
        yield lines
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def inside(world: World) -> Hunt:
    """Use every kind of secret, well and badly, and look through the log, the answers and the journal."""
    root = world.token("root", "admin")
    world.call(root, "PATCH", "/accounts/ada", {"password": PASSWORD})
    with everything_logged() as lines:
        with patch("tests.security.world.PASSWORD", PASSWORD):
            browser = world.sign_in("ada")
        token = world.token("ada", "bookings:read", "bookings:write")
        feed = world.call(token, "POST", "/feed")["url"].rpartition("/")[2].removesuffix(".ics")
        hunt = Hunt(
            {
                FEED: feed,
                "password": PASSWORD,
                "wrong password": WRONG,
                "notebook": "canary-notebook",
                "answer": ANSWER,
                SESSION: browser.cookie.partition("=")[2],
                TOKEN: token,
            }
        )
        answers = [*_use(world, browser.cookie, token), *_read_feed(world, token, feed)]
    journal = world.client.get("/api/v1/journal?limit=200", headers=bearer(root)).get_data(as_text=True)
    hunt.search("the journal", journal)
    for number, answer in enumerate(answers):
        hunt.search(f"refusal {number}", answer)
    for line in lines:
        hunt.search("the log: " + line[:80], line)
    metrics = world.client.get("/metrics").get_data(as_text=True)
    assert 'booking_decisions_total{outcome="accepted"}' in metrics
    hunt.search("the metrics", metrics)
    return hunt


def _use(world: World, cookie: str, token: str) -> Iterator[str]:
    """What is answered to each; the answers that carry a secret to its owner are left out."""
    wish = WISH | {"notebook_url": NOTEBOOK, "title": ANSWER}
    key = {"Idempotency-Key": "one"}
    for _ in range(2):
        world.call(token, "POST", "/bookings", wish, **key)
    client, mine = world.client, bearer(token)
    refused: list[Any] = [
        client.post("/api/v1/login", json={"name": "ada", "password": WRONG}),
        client.post("/api/v1/login", json={"name": PASSWORD, "password": WRONG, "more": WRONG}),
        client.post("/login", data={"name": "ada", "password": WRONG}),
        client.get("/api/v1/bookings", headers={"Authorization": f"Basic {token}"}),
        client.get(f"/api/v1/bookings?{token}=1", headers={"Cookie": cookie}),
        client.post("/api/v1/bookings", json=wish, headers=mine | {"Idempotency-Key": "one" * 200}),
        client.post("/api/v1/bookings", json=wish | {"package": "none"}, headers=mine),
    ]
    with patch.object(bookings, "_locked", side_effect=RuntimeError("planted")):
        refused.append(client.post("/api/v1/bookings", json=wish, headers=mine))
        refused.append(client.get("/bookings", headers={"Cookie": cookie}))
    world.execute("ALTER TABLE idempotency_key RENAME TO gone")
    refused.append(client.post("/api/v1/bookings", json=wish, headers=mine | {"Idempotency-Key": "two"}))
    world.execute("ALTER TABLE gone RENAME TO idempotency_key")
    statuses = [answer.status_code for answer in refused]
    assert 500 in statuses, statuses
    told = [answer for answer in refused if answer.status_code >= 400]
    yield from (answer.get_data(as_text=True).replace(f"{token}", "(its own)") for answer in told[4:5])
    yield from (answer.get_data(as_text=True) for answer in told if answer is not told[4])


def _read_feed(world: World, token: str, secret: str) -> Iterator[str]:
    """What is told where a feed is not; where it is, the log alone is looked through."""
    addresses = [f"/feed/{secret}.ics", f"/feed/{secret}", f"/feed/{secret}/more.ics", f"/feed//{secret}.ics"]
    answers = [world.client.get(address) for address in addresses]
    world.call(token, "DELETE", "/feed")
    answers.append(world.client.get(addresses[0]))
    assert [answer.status_code for answer in answers] == [200, 404, 404, 308, 404]
    yield from (answer.get_data(as_text=True) for answer in answers if answer.status_code == 404)


def outside(folder: Path) -> Hunt:
    """Run the service with secrets in its settings; look at its output, its command lines, and the environment of a cluster."""
    settings = {
        "BOOKING_PROVISIONER": "local",
        "BOOKING_TICK_SECONDS": "0.2",
        "BOOKING_WORKERS": "1",
        "BOOKING_TIMEZONE": "UTC",
        "BOOKING_SECRET_KEY": SECRET_KEY,
        "BOOKING_LOG_FORMAT": "json",
        "BOOKING_METRICS_TOKEN": METRICS,
        "DATABASE_PASSWORD": DATABASE,
    }
    hunt = Hunt(
        {
            "secret key": SECRET_KEY,
            "database password": DATABASE,
            "notebook": "canary-notebook",
            "metrics token": METRICS,
        }
    )
    service = Service(folder, settings=settings)
    try:
        hunt.canaries |= {"token": service.token, "first password": service.password}
        cluster = _cluster(service, hunt)
        for process in processes.table().values():
            hunt.search(f"the command line of {process.pid}", _read(process.pid, "cmdline"))
        for pid in cluster:
            environment = _read(pid, "environ").replace(NOTEBOOK, "")
            hunt.search(f"the environment of {pid}", environment)
        mine = {"Authorization": f"Bearer {METRICS}"}
        metrics = requests.get(f"{service.url}metrics", headers=mine, timeout=SECONDS)
        assert metrics.status_code == 200
        hunt.search("the metrics", metrics.text)
    finally:
        _end(service)
    hunt.search("the log of the service", service.log)
    _refuses_to_start(folder / "other", hunt)
    return hunt


def _end(service: Service) -> None:
    """Clusters outlive the service: each booking is cancelled first, and its folder gone."""
    try:
        for booking in service.json("GET", "/bookings")["items"]:
            service.call("DELETE", f"/bookings/{booking['id']}")
        workspaces = service.home / "workspaces"
        eventually(lambda: not workspaces.is_dir() or not any(workspaces.glob("bk-*")))
    finally:
        service.close()


def _cluster(service: Service, hunt: Hunt) -> Iterable[int]:
    """A cluster that the service has made; its processes, once its notebook is ready."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    span = {"start": hour.isoformat(), "end": (hour + timedelta(hours=2)).isoformat()}
    wish = {"package": "tiny", "sharing": "reserved", "spans": [span], "notebook_url": NOTEBOOK}
    made = service.json("POST", "/bookings", json=wish)

    def ready() -> dict[str, Any] | None:
        shown = service.json("GET", f"/bookings/{made['id']}")["reservations"][0]["cluster"] or {}
        return shown if any("token" in end for end in shown.get("endpoints", ())) else None

    endpoints = eventually(ready, looks=2400)["endpoints"]  # type: ignore[index]
    hunt.canaries["cluster token"] = next(end["token"] for end in endpoints if "token" in end)
    mark = made["reservations"][0]["id"]
    found = [pid for pid in processes.table() if mark in _read(pid, "environ")]
    assert len(found) > 2, found
    return found


def _refuses_to_start(folder: Path, hunt: Hunt) -> None:
    """Starts that fail for their settings say why, and not with what."""
    urls = (f"postgresql://booking:{DATABASE}@127.0.0.1:1/none", f"oracle://booking:{DATABASE}@127.0.0.1/x")
    for number, url in enumerate(urls):
        failing = Running(folder / str(number), "serve", settings={"BOOKING_DATABASE_URL": url})
        try:
            assert failing.process.wait(60) != 0
        finally:
            failing.close()
        hunt.search(f"the output of a start that failed ({number})", failing.out + failing.log)


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
    except OSError:
        return ""
