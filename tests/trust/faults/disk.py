"""The disk of the running service is full, or fails now and then."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from booking.adapters.local import processes
from tests.e2e.service import IMAGINED, SECONDS, Service
from tests.trust.faults.leash import leashed

SPACE_MIB = 16
"""Size of the disk that is to be full."""
HELD_SECONDS = 120.0
READS = ("healthz", "calendar", "api/v1/bookings", "api/v1/availability?from={today}&to={later}")
_FIU = shutil.which("fiu-ctrl")
_ERRORS = ("pwrite", "pwrite64", "write")


@dataclass
class Seen:
    """What the service answered."""

    booked: list[str] = field(default_factory=list)
    writes: Counter[int] = field(default_factory=Counter)
    reads: Counter[int] = field(default_factory=Counter)
    recovered: float = 0.0
    """Seconds from the end of the fault until a booking was made again."""
    faults: list[str] = field(default_factory=list)


class Visitor:
    """Somebody who books and reads, and remembers every answer."""

    def __init__(self, service: Service, seen: Seen) -> None:
        self._service, self._seen = service, seen
        self._number = 0
        self._package = str(service.json("GET", "/packages")["items"][0]["name"])

    def book(self) -> int:
        """One booking, far enough away that it does not start; the status that was answered.

        Each has an hour of its own: what cannot be cancelled while the fault lasts must not use up an hour.
        """
        self._number += 1
        this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        start = this_hour + timedelta(hours=24 + self._number)
        span = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
        body = {"package": self._package, "sharing": "shared", "spans": [span]}
        key = {"Idempotency-Key": f"visitor-{self._number}"}
        answer = self._ask("POST", "api/v1/bookings", json=body, headers=key)
        self._seen.writes[answer.status_code] += 1
        if answer.status_code == 201:
            self._seen.booked.append(answer.json()["id"])
            self._ask("DELETE", f"api/v1/bookings/{self._seen.booked[-1]}")
        elif answer.status_code == 503:
            self._check_problem(answer)
        else:
            self._seen.faults.append(f"booking was answered {answer.status_code} {answer.text[:200]}")
        return answer.status_code

    def _check_problem(self, answer: requests.Response) -> None:
        if (
            "Retry-After" not in answer.headers
            or answer.headers["Content-Type"] != "application/problem+json"
        ):
            self._seen.faults.append(f"503 without Retry-After, or not a problem: {dict(answer.headers)}")

    def read(self) -> None:
        """Everything that only reads."""
        today = datetime.now(UTC).date()
        for path in READS:
            status = self._ask("GET", path.format(today=today, later=today + timedelta(days=7))).status_code
            self._seen.reads[status] += 1

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._service.token}"} | more.pop("headers", {})
        return requests.request(method, self._service.url + path, headers=headers, timeout=SECONDS, **more)

    def recover(self) -> None:
        """Book until it is granted again."""
        began = time.monotonic()
        while self.book() != 201:
            if time.monotonic() > began + HELD_SECONDS:
                self._seen.faults.append("the service does not book again after the fault is gone")
                break
            time.sleep(0.1)
        self._seen.recovered = time.monotonic() - began


def full(folder: Path, tries: int) -> Seen:
    """Fill the disk of the service, ask it `tries` times, and make room again."""
    seen = Seen()
    with _on_small_disk(folder) as (service, home):
        visitor = Visitor(service, seen)
        assert visitor.book() == 201
        seen.writes.clear()
        pid = service.part("gunicorn")
        filling = home / "filling"
        _fill(filling)
        for _ in range(tries):
            visitor.book()
            visitor.read()
            _fill(filling)
        filling.unlink()
        visitor.recover()
        if service.part("gunicorn") != pid:
            seen.faults.append("the web server was started again")
        _judge(home / "booking.sqlite", service, seen)
    return seen


def _fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


@contextmanager
def _on_small_disk(folder: Path) -> Iterator[tuple[Service, Path]]:
    """The service with its home on a disk of its own, and where that is seen from here."""
    home = folder / "home"
    home.mkdir(parents=True)
    mount = f"mount -t tmpfs -o size={SPACE_MIB}m,mode=0700 none {home}"
    alone = "unshare -m" if os.geteuid() == 0 else "unshare -rm"
    program = leashed(folder, f'{alone} sh -c \'{mount} && exec "$0" "$@"\'')
    service = Service(folder, settings=IMAGINED, program=program)
    try:
        yield service, Path(f"/proc/{service.part('gunicorn')}/root{home}")
    finally:
        service.close()


def can_be_full() -> bool:
    """Whether a disk of our own can be mounted here."""
    alone = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    done = subprocess.run([*alone, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return done.returncode == 0


def failing(folder: Path, tries: int, rate: float) -> Seen:
    """Let writes of the web processes fail with EIO at a rate while it is asked `tries` times."""
    seen = Seen()
    preload = next(Path("/usr/lib").glob("**/fiu_run_preload.so"))
    posix = next(Path("/usr/lib").glob("**/fiu_posix_preload.so"))
    folder.mkdir(parents=True)
    control = folder / "fiu"
    settings = {"LD_PRELOAD": f"{preload} {posix}", "FIU_CTRL_FIFO": str(control)}
    service = Service(folder, settings=IMAGINED | settings, program=leashed(folder))
    try:
        visitor = Visitor(service, seen)
        assert visitor.book() == 201
        seen.writes.clear()
        workers = [pid for pid in service.parts() if _is_worker(pid, service)]
        for number, name in enumerate(("pwrite", "fdatasync")):
            fault = f"name=posix/io/{'sync' if number else 'rw'}/{name},probability={rate},failinfo=5"
            for pid in workers:
                _control(control, pid, f"enable_random {fault}")
        for _ in range(tries):
            visitor.book()
            visitor.read()
        for name in ("rw/pwrite", "sync/fdatasync"):
            for pid in workers:
                _control(control, pid, f"disable name=posix/io/{name}")
        visitor.recover()
        _judge(folder / "home" / "booking.sqlite", service, seen)
    finally:
        service.close()
    return seen


def _is_worker(pid: int, service: Service) -> bool:
    table = processes.table()
    return pid in table and table[pid].parent == service.part("gunicorn")


def _control(control: Path, pid: int, command: str) -> None:
    assert _FIU is not None
    subprocess.run([_FIU, "-f", str(control), "-c", command, str(pid)], check=True, capture_output=True)


def can_fail() -> bool:
    """Whether libfiu is here."""
    return _FIU is not None and next(Path("/usr/lib").glob("**/fiu_posix_preload.so"), None) is not None


def _judge(database: Path, service: Service, seen: Seen) -> None:
    """Everything that was answered is there, the file is whole, and so are the rows."""
    for booking_id in seen.booked:
        if service.call("GET", f"/bookings/{booking_id}").status_code != 200:
            seen.faults.append(f"{booking_id} was answered 201 and is lost")
    connection = sqlite3.connect(database)
    try:
        (whole,) = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    if whole != "ok":
        seen.faults.append(f"the database: {whole}")
    if set(seen.reads) != {200}:
        seen.faults.append(f"reads were answered {dict(seen.reads)}")
