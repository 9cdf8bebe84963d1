"""The web server of the product with one process that may be killed; its arbiter makes the next."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from tests.trust.kills.inject import alive, children, kill
from tests.trust.kills.web import TOKEN

SECONDS = 30.0
Answer = requests.Response | None
"""None is a connection that broke."""


class Web:
    """Gunicorn as `booking serve` starts it, but that the application is loaded before the process forks.

    So a new process answers after milliseconds; everything else of it is as ever.
    """

    def __init__(
        self, home: Path, url: str, token: str, *, app: str = "warm", settings: dict[str, str] | None = None
    ) -> None:
        self._header = {"Authorization": f"Bearer {token}", "Connection": "close"}
        self._log = (home / f"{app}.log").open("ab")
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            self._url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
            known = {name: value for name, value in os.environ.items() if not name.startswith("BOOKING_")}
            ours = {"BOOKING_HOME": str(home), "BOOKING_DATABASE_URL": url, "BOOKING_PROVISIONER": "null"}
            self._arbiter = subprocess.Popen(
                self._words(listener.fileno(), app),
                env=known | ours | (settings or {}) | {TOKEN: token},
                pass_fds=(listener.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
            )

    @staticmethod
    def _words(listener: int, app: str) -> list[str]:
        words = [sys.executable, "-m", "gunicorn", "--config", "python:booking.server"]
        words += ["--bind", f"fd://{listener}", "--worker-class", "gthread", "--no-control-socket"]
        words += ["--workers", "1", "--threads", "1", "--preload", "--log-level", "critical"]
        return [*words, f"tests.trust.kills.web:{app}()"]

    def __enter__(self) -> Web:
        assert self.settled("GET", "/bookings").status_code == 200
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._arbiter.terminate()
        try:
            self._arbiter.wait(SECONDS)
        except subprocess.TimeoutExpired:
            for child in children(self._arbiter.pid):
                kill(child)
            kill(self._arbiter.pid)
            self._arbiter.wait()
        self._log.close()

    def worker(self) -> int:
        """The process that answers, and that has answered already."""
        (pid,) = (pid for pid in children(self._arbiter.pid) if alive(pid))
        return pid

    def call(self, method: str, path: str, **more: Any) -> Answer:
        """One request."""
        headers = self._header | more.pop("headers", {})
        try:
            return requests.request(method, self._url + path, headers=headers, timeout=SECONDS, **more)
        except requests.RequestException:
            return None

    def settled(self, method: str, path: str, **more: Any) -> requests.Response:
        """The same, repeated until there is an answer that is not "later"."""
        until = time.monotonic() + SECONDS
        while True:
            answer = self.call(method, path, **more)
            if answer is not None and answer.status_code != 503:
                return answer
            assert time.monotonic() < until, f"{method} {path} is not answered"
            assert self._arbiter.poll() is None, f"the web server has ended: {self._log.name}"
            time.sleep(0.01)
