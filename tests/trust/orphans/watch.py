"""Looks at an installation from outside all the while, and notes what must never be."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from booking.adapters.base import outside_name
from booking.errors import Unavailable
from tests.trust.orphans.census import Census, Counter
from tests.trust.orphans.installation import Installation, Row

GRACE = timedelta(seconds=6)
"""What a cluster may take to end politely, and a second for the look itself."""
_LOOK_SECONDS = 0.4
_LEADER_SECONDS = 0.05


@dataclass
class Notes:
    """What was seen."""

    most: int = 0
    """Clusters that ran at once."""
    guardians: set[object] = field(default_factory=set)
    seconds_past_end: float = 0.0
    past: set[str] = field(default_factory=set)
    doubles: set[str] = field(default_factory=set)
    sockets: dict[int, str] = field(default_factory=dict)
    ends: dict[str, datetime] = field(default_factory=dict)
    take_overs: list[float] = field(default_factory=list)
    outages: list[datetime] = field(default_factory=list)
    """The looks that found no scheduler at all: all had been killed, and none had come up again."""


class Watch:
    """Runs beside a trial until it is left."""

    def __init__(self, place: Installation) -> None:
        self.notes = Notes()
        self._place = place
        self._counter = Counter(place.home)
        self._stop = threading.Event()
        self._deposed: tuple[int, float] | None = None
        jobs = ((self._look, _LOOK_SECONDS), (self._see_leader, _LEADER_SECONDS))
        self._threads = [threading.Thread(target=self._repeat, args=job, daemon=True) for job in jobs]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def leader_killed(self, epoch: int) -> None:
        """From now on the next epoch is waited for."""
        self._deposed = (epoch, time.monotonic())

    def forget_leader(self) -> None:
        """The clock jumps, or nobody was there to follow: this take-over is not measured."""
        self._deposed = None

    def count(self) -> tuple[Census, list[Row]]:
        return self._counter.count(), self._place.rows()

    def _repeat(self, job: object, pause: float) -> None:
        while not self._stop.wait(pause):
            try:
                job()  # type: ignore[operator]
            except Unavailable:
                continue

    def _see_leader(self) -> None:
        deposed = self._deposed
        if deposed is None or self._place.leader()[1] <= deposed[0]:
            return
        if self._deposed == deposed:  # otherwise it was forgotten meanwhile
            self.notes.take_overs.append(time.monotonic() - deposed[1])
            self._deposed = None

    def _look(self) -> None:
        began, now, notes = time.monotonic(), self._place.clock.now(), self.notes
        for row in self._place.rows():
            name = outside_name(row.id)
            notes.ends[name] = max(row.end, notes.ends.get(name, row.end))
        census = self._counter.count(sockets=True)
        if not self._place.standing():
            notes.outages.append(now)
        notes.most = max(notes.most, len(census.guardians))
        notes.sockets |= census.sockets
        step = _LOOK_SECONDS + time.monotonic() - began
        per: dict[str, int] = defaultdict(int)
        for name, guardians in census.guardians.items():
            notes.guardians |= guardians
            per[name] = len(guardians)
        notes.doubles |= {name for name, number in per.items() if number > 1}
        late = {n for n in census.processes if n in notes.ends and notes.ends[n] + GRACE < now}
        notes.past |= late
        notes.seconds_past_end += step * len(late)
