"""Bookings start, are extended, cancelled and end while everything is killed, one thing after the other."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from signal import SIGKILL
from typing import Any

from booking.adapters.base import outside_name
from booking.adapters.local import processes
from booking.adapters.local.processes import Identity
from tests.trust.orphans.census import Census, Counter
from tests.trust.orphans.installation import FULL, Installation
from tests.trust.orphans.light import PACKAGE
from tests.trust.orphans.watch import Watch

HOUR = timedelta(hours=1)
LEAD = timedelta(seconds=10)
"""The clock jumps to this moment before a start; in earnest the least time is a minute."""
_DOORS = ("web", "web server", "supervisor", "whole service")
_SPARE_SECONDS = 6.0
"""So long into a part of a round the web is killed too; then it may come up and answer what was asked."""
_AFTER = timedelta(seconds=4)
"""So long after the start the faults go on."""
_CLIENTS = 3
_VICTIMS = {
    "guardian": 10,
    "first process inside": 6,
    "notebook or worker": 8,
    "leader": 5,
    "scheduler": 1,
    "web": 4,
    "web server": 2,
    "supervisor": 1,
    "whole service": 1,
}


@dataclass
class Deeds:
    """What was asked for and what was killed."""

    promised: dict[str, datetime] = field(default_factory=dict)
    """The start of every reservation that was answered in time, by folder."""
    full: set[str] = field(default_factory=set)
    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)
    extended: int = 0
    cancelled: set[str] = field(default_factory=set)
    killed: Tally[str] = field(default_factory=Tally)
    struck: set[str] = field(default_factory=set)
    """Clusters of which something was killed before they had ever answered."""
    struck_at: dict[str, datetime] = field(default_factory=dict)
    """When something of each cluster was killed last."""
    wrong: list[str] = field(default_factory=list)


class Clients:
    """They do what is put into their queue, and ask again until they are answered."""

    def __init__(self, place: Installation, deeds: Deeds) -> None:
        self._place, self._deeds = place, deeds
        self._acts: queue.Queue[tuple[Any, ...] | None] = queue.Queue()
        self._open = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._live, daemon=True) for _ in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def ask(self, *act: Any) -> None:
        with self._lock:
            self._open += 1
        self._acts.put(act)

    @property
    def are_busy(self) -> bool:
        """Whether something that was asked for has not been answered yet."""
        return self._open > 0

    def finish(self) -> None:
        for _ in self._threads:
            self._acts.put(None)
        for thread in self._threads:
            thread.join()

    def _live(self) -> None:
        while (act := self._acts.get()) is not None:
            name, *rest = act
            getattr(self, f"_{name}")(*rest)
            with self._lock:
                self._open -= 1

    def _answer(self, method: str, path: str, **more: Any) -> Any:
        """Asked until it is answered, and not by "later"."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            answer = self._place.call(method, path, **more)
            if answer is not None and answer.status_code < 500:
                return answer
            if answer is not None and answer.status_code != 503:
                self._deeds.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            time.sleep(0.1)
        self._deeds.wrong.append(f"{method} {path} was not answered for a minute")
        return None

    def _book(self, key: str, package: str, start: datetime, hours: int) -> None:
        span = {"start": start.isoformat(), "end": (start + hours * HOUR).isoformat()}
        body = {"package": package, "sharing": "reserved", "spans": [span]}
        answer = self._answer("POST", "bookings", json=body, headers={"Idempotency-Key": key})
        if answer is None or answer.status_code != 201:
            if answer is not None:
                self._deeds.wrong.append(f"{key}: {answer.status_code} {answer.text[:200]}")
            return
        booking = answer.json()
        name = outside_name(booking["reservations"][0]["id"])
        self._deeds.bookings[name] = booking
        if package == FULL:
            self._deeds.full.add(name)
        if self._place.clock.now() < start - LEAD:
            self._deeds.promised[name] = start

    def _extend(self, name: str) -> None:
        path = f"bookings/{self._deeds.bookings[name]['id']}"
        seen = self._answer("GET", path)
        if seen is None or seen.status_code != 200:
            return
        (one,) = seen.json()["reservations"]
        later = (datetime.fromisoformat(one["end"]) + HOUR).isoformat()
        header = {"If-Match": seen.headers["ETag"]}
        done = self._answer("PATCH", f"{path}/reservations/{one['id']}", json={"end": later}, headers=header)
        self._deeds.extended += done is not None and done.status_code == 200

    def _cancel(self, name: str) -> None:
        done = self._answer("DELETE", f"bookings/{self._deeds.bookings[name]['id']}")
        if done is not None and done.status_code in (204, 404):
            self._deeds.cancelled.add(name)


class Chaos:
    """One run; every draw comes from the seed."""

    def __init__(self, place: Installation, watch: Watch, seed: int) -> None:
        self.deeds = Deeds()
        self._place, self._watch = place, watch
        self._dice = random.Random(seed)
        self._counter = Counter(place.home)
        self._clients = Clients(place, self.deeds)

    def run(self, rounds: int, starts: int, full: int, calm: Callable[[], object]) -> None:
        """`rounds` hours with so many starts each; the `full` clusters are spread over the first ones.

        Before each jump of the clock the faults stop, and `calm` waits until all is settled: nothing is
        missed only because an hour lasted seconds.
        """
        fulls = [number * max(1, rounds - 1) // max(1, full) for number in range(full)]
        for number in range(rounds):
            begin = self._next_hour()
            for each in range(starts):
                hours = self._dice.choice((1, 1, 2, 3))
                self._clients.ask("book", f"light-{number}-{each}", PACKAGE, begin, hours)
            for each in range(fulls.count(number)):
                self._clients.ask("book", f"full-{number}-{each}", FULL, begin, self._dice.choice((2, 3)))
            self._change_some(starts)
            self._kill_while(lambda: self._clients.are_busy)
            self._place.start_missing()
            calm()
            self._watch.forget_leader()
            self._place.clock.jump_to(begin - LEAD)
            until = begin + _AFTER
            self._kill_while(lambda until=until: self._place.clock.now() < until)  # type: ignore[misc]
        self._clients.finish()
        self._place.start_missing()
        calm()

    def _next_hour(self) -> datetime:
        return self._place.clock.now().replace(minute=0, second=0, microsecond=0) + HOUR

    def _change_some(self, starts: int) -> None:
        known = sorted(self.deeds.bookings.keys() - self.deeds.cancelled)
        for name in self._dice.sample(known, min(len(known), starts // 4)):
            self._clients.ask("extend", name)
        for name in self._dice.sample(known, min(len(known), starts // 6)):
            self._clients.ask("cancel", name)

    def _kill_while(self, goes_on: Callable[[], bool]) -> None:
        spare = time.monotonic() + _SPARE_SECONDS
        while goes_on():
            self._place.start_missing()
            kind = self._dice.choices([*_VICTIMS], [*_VICTIMS.values()])[0]
            if kind not in _DOORS or time.monotonic() < spare:
                self._kill(kind)
            time.sleep(self._dice.uniform(0.3, 1.0))

    def _kill(self, kind: str) -> None:
        if kind == "whole service":
            self._watch.forget_leader()
            self._place.kill_service()
        elif kind == "leader":
            self._kill_leader()
            return
        elif kind in ("guardian", "first process inside", "notebook or worker"):
            self._kill_in_cluster(kind)
            return
        else:
            pids = self._place.parts().get(kind, [])
            if not pids:
                return
            pid = self._dice.choice(sorted(pids))
            if pid == self._place.leader()[0] or kind == "supervisor":
                self._watch.forget_leader()
            _strike(processes.identify(pid))
        self.deeds.killed[kind] += 1

    def _kill_leader(self) -> None:
        pid, epoch = self._place.leader()
        schedulers = self._place.parts()["scheduler"]
        if pid not in schedulers:
            return
        if self._place.standing() - {pid}:  # otherwise nobody could follow: that is another fault
            self._watch.leader_killed(epoch)
            _strike(processes.identify(pid))
            self.deeds.killed["leader"] += 1

    def _kill_in_cluster(self, kind: str) -> None:
        census = self._counter.count()
        ours = sorted(census.guardians.keys() & self.deeds.bookings.keys())
        if not ours:
            return
        name = self._dice.choice(ours)
        victims = sorted(_victims(census, name)[kind], key=lambda one: one.pid)
        if not victims:
            return
        if name not in self._ready():
            self.deeds.struck.add(name)
        self.deeds.struck_at[name] = self._place.clock.now()
        _strike(self._dice.choice(victims))
        self.deeds.killed[kind] += 1

    def _ready(self) -> set[str]:
        return {outside_name(name) for name in self._place.first_ready()}


def _victims(census: Census, name: str) -> dict[str, set[Identity]]:
    table = processes.table()
    guardians = census.guardians[name]
    first = {one for one in census.processes[name] if _parent(table, one) in {each.pid for each in guardians}}
    return {
        "guardian": guardians,
        "first process inside": first,
        "notebook or worker": census.processes[name] - guardians - first,
    }


def _parent(table: dict[int, processes.Process], one: Identity) -> int:
    return table[one.pid].parent if one.pid in table else 0


def _strike(victim: Identity | None) -> None:
    if victim is not None:
        victim.send(SIGKILL)
