"""Who kills what, when: the database, the web processes, the schedulers."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import requests

from tests.support.postgres import PostgresServer
from tests.trust.chaos.stage import Stage


@dataclass(frozen=True)
class Absence:
    """A time, in seconds since 1970, during which something was not there."""

    began: float
    ended: float

    def within(self, began: float, ended: float) -> float:
        """How much of it lies between two instants."""
        return max(0.0, min(self.ended, ended) - max(self.began, began))


@dataclass
class Wounds:
    """Everything that was done to the installation."""

    outages: list[Absence] = field(default_factory=list)
    """The database was away."""
    web_away: list[Absence] = field(default_factory=list)
    """No web process was there at all."""
    web_kills: int = 0
    scheduler_kills: dict[int, float] = field(default_factory=dict)
    """When each was killed, by its process id."""
    away_since: float | None = None
    """No web process has been there since."""

    def hides(self, began: float, ended: float) -> bool:
        """Whether no web process was there at some moment between two instants."""
        if self.away_since is not None and self.away_since < ended:
            return True
        return any(absence.within(began, ended) > 0 for absence in self.web_away)

    def without_database(self, began: float, ended: float) -> float:
        """How many seconds between two instants the database was away."""
        return sum(outage.within(began, ended) for outage in self.outages)


def kill_database(server: PostgresServer, dice: random.Random, wounds: Wounds) -> None:
    """End it at once, as a failing machine or an impatient administrator does; start it after a moment."""
    began = time.time()
    server.kill(dice.choice([signal.SIGKILL, signal.SIGQUIT]))
    time.sleep(dice.random() * 2)
    server.start_again()
    wounds.outages.append(Absence(began, time.time()))


class ProcessKiller:
    """Kills processes of the service at random; schedulers are started again as a service manager would."""

    def __init__(
        self, stage: Stage, seed: int, wounds: Wounds, pauses: tuple[float, float], many: int
    ) -> None:
        self._stage = stage
        self._dice = random.Random(f"{seed}/kills")
        self._wounds = wounds
        self._pauses = pauses
        self.running = [stage.start_scheduler() for _ in range(many)]
        self.running[0].logs("INFO")  # it is up: what is measured is not how fast Python starts

    def live(self, stop: threading.Event) -> None:
        while not stop.wait(self._dice.uniform(*self._pauses)):
            act: Callable[[], None] = self._dice.choices(
                [self._kill_scheduler, self._kill_worker, self._kill_web], [5, 5, 1]
            )[0]
            act()

    def _kill_scheduler(self) -> None:
        place = self._dice.randrange(len(self.running))
        self.running[place].kill()
        self._wounds.scheduler_kills[self.running[place].process.pid] = time.time()
        self.running[place] = self._stage.start_scheduler()

    def _kill_worker(self) -> None:
        workers = self._stage.web()[1:]
        if len(workers) > 1 and _killed(self._dice.choice(workers)):
            self._wounds.web_kills += 1

    def _kill_web(self) -> None:
        """The web server with all its processes; the supervisor starts it again."""
        server = self._stage.web()[:1]
        if not server:
            return
        self._wounds.away_since = began = time.time()
        if _killed(server[0]):
            self._wounds.web_kills += 1
        while self._stage.web()[:1] in ([], server) or not self._is_alive():
            time.sleep(0.1)
        self._wounds.web_away.append(Absence(began, time.time()))
        self._wounds.away_since = None

    def _is_alive(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self._stage.service.url}healthz", timeout=60).ok
        return False


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
