"""The rivals as the bench sees them: each in the rivals' process, made, checked, and then timed in turn."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench import ours
from tests.bench.measure import Case
from tests.bench.rivals.indico import free_rooms
from tests.bench.workload import Truth, Workload

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "rivals" / "bin" / "python"
"""The rivals' environment; `make bench` makes it."""


MADE = "made from all reservations"


@dataclass(frozen=True)
class Entrant:
    """A rival, and how many reservations it manages in reasonable time."""

    name: str
    design: str
    calendar_most: int
    can_i_most: int
    note: str = ""

    def at_most(self, most: int) -> Entrant:
        """The same with no more reservations than that."""
        return replace(
            self, calendar_most=min(most, self.calendar_most), can_i_most=min(most, self.can_i_most)
        )


ENTRANTS = (
    Entrant("sortedcontainers", "sortedcontainers skyline", 10**7, 10**7),
    Entrant("pandas", "pandas IntervalIndex + sweep", 10**7, 10**7),
    Entrant("intervaltree", "intervaltree + sweep", 10**5, 10**5),
    Entrant("portion", "portion IntervalDict", 200, 200),
    Entrant("blazar", "Blazar 18, its own functions", 10**4, 10**5, "calendar of one package"),
    Entrant("indico", "Indico's algorithm", 10**5, 10**5, "rooms of one unit; calendar of one package"),
)


def are_installed() -> bool:
    """Whether the rivals have their environment; without it they are left out."""
    return PYTHON.exists()


class Field:
    """A process of rivals over one workload."""

    def __init__(self, workload: Workload, folder: Path, stack: ExitStack) -> None:
        self.workload = workload
        words = [str(workload.n), str(workload.seed), workload.today.isoformat(), str(folder)]
        self._process = subprocess.Popen(
            [PYTHON, "-W", "ignore", "-m", "tests.bench.rivals.worker", *words],
            cwd=ROOT,
            env=os.environ | {"EVENTLET_NO_GREENDNS": "yes"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(self._end)

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def order(self, act: str, rival: str, **more: Any) -> Any:
        """What the rivals' process says to an order.

        :raises RuntimeError: if it died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"act": act, "rival": rival, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of the rivals died over {rival}")
        return json.loads(line)

    def cases(self, entrants: Sequence[Entrant]) -> list[Case]:
        """Everybody's cases, each after its answers were checked."""
        return [case for entrant in entrants for case in self._cases(entrant)]

    def _cases(self, entrant: Entrant) -> list[Case]:
        most = min(self.workload.n, entrant.can_i_most)
        made = Case(MADE, entrant.design, most, "", lambda _: [0.0])
        made.micros = made.rounds = self.order("make", entrant.name, most=most)
        self._check(entrant, most)
        cases = [made]
        for what, order, limit in (
            (ours.CALENDAR, "calendar", entrant.calendar_most),
            (ours.CAN_I, "can_i", entrant.can_i_most),
        ):
            if most <= limit:
                case = Case(what, entrant.design, most, "", self._timer(entrant.name, order), 1)
                case.note = entrant.note
                cases.append(case)
        return cases

    def _timer(self, rival: str, what: str) -> Callable[[int], list[float]]:
        def time_it(calls: int) -> list[float]:
            micros: list[float] = self.order("time", rival, what=what, calls=calls)
            return micros

        return time_it

    def _check(self, entrant: Entrant, most: int) -> None:
        """:raises AssertionError: if an answer is not the truth."""
        window, edges = self.workload.window, self.workload.edges.tolist()
        truth = Truth.of(self.workload, most=most)
        calendar, fits = truth.calendar(), truth.fits(window)
        if entrant.name == "blazar":
            calendar = [calendar[window.package]]
        if entrant.name == "indico":
            calendar = [free_rooms(self.workload, most, edges)]
            fits = free_rooms(self.workload, most, [window.start, window.end])[0]
        assert self.order("answer", entrant.name, what="can_i") == fits, entrant.design
        if most <= entrant.calendar_most:
            assert self.order("answer", entrant.name, what="calendar") == calendar, entrant.design
