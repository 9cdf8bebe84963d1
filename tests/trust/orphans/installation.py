"""One installation of the product in real processes: a service, further schedulers, and somebody who books."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import select

from booking import migrate
from booking.adapters.local import processes
from booking.adapters.local.parts import SOURCE
from booking.doors import Db, Doors, SystemIds, open_engine
from booking.models import Cluster, Journal, Leadership, Reservation
from booking.services import setup, tokens
from tests.support.site import Site, make_site
from tests.trust.orphans.clock import SteppedClock
from tests.trust.orphans.light import PACKAGE
from tests.trust.orphans.light import make_site as make_trial

FULL = "full"
TERM_SECONDS = 2
_SETTINGS = {
    "BOOKING_PROVISIONER": "local",
    "BOOKING_TICK_SECONDS": "0.2",
    "BOOKING_LEADERSHIP_SECONDS": str(TERM_SECONDS),
    "BOOKING_RECONCILE_SECONDS": "2",
    "BOOKING_TEARDOWN_SECONDS": "1",
    # The clock jumps by most of an hour at a time.
    "BOOKING_PROVISION_SECONDS": "7200",
    "BOOKING_PROVISION_ATTEMPTS": "20",
    "BOOKING_WORKERS": "1",
    "BOOKING_THREADS": "4",
}
_ANSWER_SECONDS = 20.0
_COMES_UP = re.compile(r"scheduler \S+:(\d+):\w+, clusters by")


@dataclass
class Row:
    """A reservation as the database has it."""

    id: str
    start: datetime
    end: datetime
    state: str
    phase: str
    reason: str


@dataclass
class Installation:
    """Everything under one folder; what it starts ends with :meth:`close`."""

    folder: Path
    standbys: int
    plant: str = ""
    home: Path = field(init=False)
    serving: subprocess.Popen[bytes] | None = None
    schedulers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _came_up: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        trial = make_trial(self.folder / "site", self.plant)
        self.clock = SteppedClock(trial / "clock")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        known = {name: value for name, value in os.environ.items() if not name.startswith("BOOKING_")}
        path = os.pathsep.join((str(trial), str(SOURCE)))
        ours = {"BOOKING_HOME": str(self.home), "BOOKING_PORT": str(self._port), "PYTHONPATH": path}
        self._environment = known | ours | _SETTINGS
        self._engine = open_engine(f"sqlite:///{self.home / 'booking.sqlite'}")
        migrate.upgrade(self._engine)
        self.site = self._filled(make_site(Doors(self.clock, SystemIds(), Db(self._engine, self.clock))))

    def _filled(self, site: Site) -> Site:
        site.pool(100_000, 100_000_000)
        site.package(PACKAGE, 2, 256)
        site.package(FULL, 2, 2048)
        site.person("service", admin=True)
        setup.bare(site.ctx)
        token = tokens.make(site.ctx, None, "service", ["bookings:read", "bookings:write"])
        self._header = {"Authorization": f"Bearer {token.secret}"}
        return site

    def _start(self, word: str, log: str) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("ab") as output:
            words = [sys.executable, "-P", "-m", "booking.cli", word]
            return subprocess.Popen(
                words,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_missing(self) -> None:
        """Start again what was killed, as an operating system's own supervisor would."""
        if self.serving is None or self.serving.poll() is not None:
            self.serving = self._start("serve", "serve.log")
        self.schedulers = [one for one in self.schedulers if one.poll() is None]
        while len(self.schedulers) < self.standbys:
            self.schedulers.append(self._start("scheduler", "scheduler.log"))

    def kill_service(self) -> None:
        """Kill all of it but the clusters, at once."""
        for process in self._started():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.serving, self.schedulers = None, []

    def close(self) -> None:
        self.kill_service()
        self._engine.dispose()

    def _started(self) -> list[subprocess.Popen[bytes]]:
        everything = [*self.schedulers, *([self.serving] if self.serving else [])]
        return [process for process in everything if process.poll() is None]

    def parts(self) -> dict[str, list[int]]:
        """The living processes of the service by what they are."""
        table = processes.table()
        children: dict[int, list[int]] = {}
        for process in table.values():
            if process.state not in "ZX":
                children.setdefault(process.parent, []).append(process.pid)
        found: dict[str, list[int]] = {
            "scheduler": [one.pid for one in self.schedulers if one.poll() is None]
        }
        if self.serving is not None and self.serving.poll() is None:
            found["supervisor"] = [self.serving.pid]
            for pid in children.get(self.serving.pid, []):
                kind = "web server" if b"gunicorn" in _words(pid) else "scheduler"
                found.setdefault(kind, []).append(pid)
                if kind == "web server":
                    found["web"] = children.get(pid, [])
        return found

    def standing(self) -> set[int]:
        """The schedulers that have come up: they lead, or wait for their turn."""
        alive = set(self.parts()["scheduler"])
        if not alive <= self._came_up:
            texts = (path.read_text(errors="replace") for path in self.folder.glob("*.log"))
            self._came_up |= {int(pid) for text in texts for pid in _COMES_UP.findall(text)}
        return alive & self._came_up

    def leader(self) -> tuple[int, int]:
        """The process that leads by the database's word, and its epoch; zeros where nobody does."""
        row = self.site.ctx.db.read("leader", lambda session: session.scalar(select(Leadership)))
        return (int(row.holder.split(":")[1]), row.epoch) if row else (0, 0)

    def rows(self) -> list[Row]:
        query = select(Reservation, Cluster.phase).outerjoin(Cluster)
        found = self.site.ctx.db.read("rows", lambda session: session.execute(query).all())
        return [
            Row(one.id, one.start, one.end, one.state.value, str(phase or ""), one.end_reason)
            for one, phase in found
        ]

    def first_ready(self) -> dict[str, datetime]:
        """When the cluster of each reservation first answered."""
        query = select(Journal).where(Journal.action == "cluster.ready").order_by(Journal.at)
        found: dict[str, datetime] = {}
        for entry in self.site.ctx.db.read("ready", lambda session: list(session.scalars(query))):
            found.setdefault(str(entry.detail["reservation"]), entry.at)
        return found

    def call(self, method: str, path: str, **more: Any) -> requests.Response | None:
        """One request; None where it was not answered."""
        headers = self._header | more.pop("headers", {})
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}"
        try:
            return requests.request(method, url, headers=headers, timeout=_ANSWER_SECONDS, **more)
        except requests.RequestException:
            return None


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
