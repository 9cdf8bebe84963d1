"""`booking serve` as people run it: a process of its own, with its own home, on a free port."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from booking.adapters.local import processes
from tests.adapters.machine import running
from tests.adapters.waiting import eventually

PROGRAM = Path(sys.executable).with_name("booking")
SECONDS = 120.0
IMAGINED = {"BOOKING_PROVISIONER": "null", "BOOKING_TICK_SECONDS": "0.2", "BOOKING_WORKERS": "1"}
"""Settings whose clusters are imagined."""
_URL = re.compile(r"Serving at (\S+)")
_TOKEN = re.compile(r"API token\s+(\S+)")
_PASSWORD = re.compile(r"administrator\s+admin\s+password\s+(\S+)")


def environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """That of the tests without their settings and without a path to the source tree, with these."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("BOOKING_", "PYTHON"))}
    return known | {"BOOKING_HOME": str(home), "BOOKING_PORT": "0"} | dict(settings)


class Running:
    """A command of ours that runs until it is ended; what it prints is kept in files."""

    def __init__(
        self, folder: Path, *words: str, settings: Mapping[str, str] = IMAGINED, program: Path = PROGRAM
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.settings = settings
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("*.out")))
        self._out, self._err = (folder / f"{number}.{end}" for end in ("out", "err"))
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [program, *words],
                cwd=folder,
                env=environment(self.home, settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._err.read_text()

    def says(self, pattern: re.Pattern[str] | str, *, of: Callable[[], str] | None = None) -> str:
        """The first group of a pattern, as soon as it is printed (or logged, or as `of` says)."""
        found = eventually(lambda: self._ended() or re.search(pattern, (of or self._printed)()))
        assert isinstance(found, re.Match), f"it ended: {self.out}{self.log}"
        return found.group(found.re.groups and 1)

    def _printed(self) -> str:
        return self.out

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def logs(self, pattern: str) -> str:
        """The same of its log."""
        return self.says(pattern, of=lambda: self.log)

    def parts(self) -> list[int]:
        """Its living processes: itself and all that it started and that did not leave it."""
        table = processes.table()
        family = [self.process.pid]
        for pid in family:
            family += [child.pid for child in table.values() if child.parent == pid]
        return [pid for pid in family if pid in table and table[pid].state not in "ZX"]

    def part(self, word: str) -> int:
        """The direct child that has this word in its command line."""
        (pid,) = {*running(word)} & {
            process.pid for process in processes.table().values() if process.parent == self.process.pid
        }
        return pid

    def stop(self) -> int:
        """End it politely; its exit code."""
        self.process.terminate()
        return self.process.wait(SECONDS)

    def kill(self) -> None:
        """Kill it and everything in its group at once, as a failing machine would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(SECONDS)

    def close(self) -> None:
        """Leave nothing of it, also after a test that failed."""
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()

    def command(self, *words: str) -> str:
        """What another command prints in the same environment; it must succeed."""
        done = subprocess.run(
            [PROGRAM, *words],
            cwd=self.folder,
            env=environment(self.home, self.settings),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout


class Service(Running):
    """`booking serve`, and a program that speaks to it."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        settings: Mapping[str, str] = IMAGINED,
        program: Path = PROGRAM,
        token: str = "",
    ) -> None:
        super().__init__(folder, "serve", *words, settings=settings, program=program)
        self.url = self.says(_URL)
        self.token = token or self._said_once(_TOKEN)
        self.password = self._said_once(_PASSWORD)

    def _said_once(self, pattern: re.Pattern[str]) -> str:
        found = pattern.findall(self.out)
        assert len(found) <= 1
        return "".join(found)

    def again(self) -> Service:
        """A further start over the same home."""
        return Service(self.folder, settings=self.settings, token=self.token)

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """One call of the API with the token of the first set-up."""
        header = {"Authorization": f"Bearer {self.token}"}
        return requests.request(
            method, f"{self.url}api/v1{path}", headers=header, timeout=SECONDS, **arguments
        )

    def json(self, method: str, path: str, **arguments: Any) -> Any:
        """What a call that succeeds answers."""
        answer = self.call(method, path, **arguments)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None
