"""A PostgreSQL that syncs what it promises, and that may be killed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import psycopg
from sqlalchemy import URL

from tests.support import postgres
from tests.trust.kills.inject import alive, children, kill

_SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}
_SECONDS = 60.0


class DurableServer:
    """It lives as long as `with`, on a Unix socket in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> URL:
        """The database that is always there, from which others are made."""
        query = {"host": str(self.folder)}
        return URL.create("postgresql+psycopg", username=postgres.USER, database="postgres", query=query)

    def __enter__(self) -> DurableServer:
        self.folder = Path(tempfile.mkdtemp(prefix="booking-durable-"))
        self._other = postgres._other_user()
        if self._other:
            os.chown(self.folder, self._other["user"], self._other["group"])
        self._programs = postgres._programs(self.folder, self._other)
        words = [f"{self._programs}/initdb", f"--pgdata={self.folder / 'data'}", "--encoding=UTF8"]
        words += [f"--username={postgres.USER}", "--auth=trust", "--locale=C", "--no-instructions"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._other)
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it over its data, and wait until it answers."""
        words = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        words += [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                preexec_fn=postgres._end_with_parent,  # noqa: PLW1509  # it takes no lock
                **self._other,
            )
        self.await_answer()

    def await_answer(self) -> None:
        """Wait until it answers, also while it recovers."""
        until = time.monotonic() + _SECONDS
        while True:
            try:
                psycopg.connect(postgres.conninfo(self.url)).close()
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.01)
            else:
                return

    def crash(self) -> None:
        """Kill all of it at once, as a failing machine would."""
        assert self._process is not None
        family = [self._process.pid, *children(self._process.pid)]
        for pid in family:
            kill(pid)
        self._process.wait()
        while any(alive(pid) for pid in family):
            time.sleep(0.001)

    def backends(self, database: str) -> list[int]:
        """The processes that serve a database."""
        query = b"SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        with psycopg.connect(postgres.conninfo(self.url)) as connection:
            return [row[0] for row in connection.execute(query, [database])]

    def transacting(self, database: str) -> int:
        """The process that serves the transactions of a database, and did so last.

        What a web process asks without a transaction goes over a connection of its own, which is not meant; and
        one whose client has left may take a moment to go.
        """
        query = (
            b"SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
            b" AND query IN ('COMMIT', 'ROLLBACK')"
        )
        for _ in range(500):
            with psycopg.connect(postgres.conninfo(self.url)) as connection:
                found = [row[0] for row in connection.execute(query, [database])]
            if len(found) == 1:
                return int(found[0])
            time.sleep(0.02)
        raise AssertionError(f"{len(found)} processes serve the transactions of {database}")

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)
