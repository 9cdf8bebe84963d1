"""Measuring: interleaved rounds in one run, so that a busy machine is busy for all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

Timer = Callable[[int], list[float]]
"""Does something so many times and says how many microseconds each took."""


@dataclass
class Case:
    """One thing to time: a question, answered by a design on a database, over so many reservations."""

    what: str
    design: str
    n: int
    database: str
    time: Timer
    calls: int = 10
    pools: int = 1
    wrong: int = 0
    """How many of the cells it answers wrongly."""
    note: str = ""
    micros: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    """The median of each round."""

    def round(self) -> None:
        taken = self.time(self.calls)
        self.micros += taken
        self.rounds.append(median(taken))

    @property
    def middle(self) -> float:
        return median(self.rounds)

    def as_json(self) -> dict[str, Any]:
        quarters = quantiles(self.micros, n=4) if len(self.micros) > 1 else [self.micros[0]] * 3
        return {
            "what": self.what,
            "design": self.design,
            "database": self.database,
            "n": self.n,
            "pools": self.pools,
            "unit": "us",
            "min": round(min(self.micros), 2),
            "q1": round(quarters[0], 2),
            "median": round(self.middle, 2),
            "q3": round(quarters[2], 2),
            "rounds": [round(value, 2) for value in self.rounds],
            "calls": len(self.micros),
            "wrong_cells": self.wrong,
            "note": self.note,
        }


def timed(call: Callable[[], object], before: Callable[[], object] | None = None) -> Timer:
    """Times a call; `before` is done before each, and not timed."""

    def time_it(calls: int) -> list[float]:
        micros = []
        for _ in range(calls):
            if before is not None:
                before()
            start = time.perf_counter()
            call()
            micros.append((time.perf_counter() - start) * 1e6)
        return micros

    return time_it


def interleaved(cases: Sequence[Case], rounds: int) -> None:
    """Each round runs every case, in an order that turns about; one call of each is a warm-up."""
    for case in cases:
        case.time(1)
    for number in range(rounds):
        for case in cases if number % 2 else cases[::-1]:
            case.round()


def processor_micros(pids: Iterable[int]) -> float:
    """Microseconds that processes have run so far, by the kernel's own account of each thread."""
    spent = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e3


@dataclass(frozen=True)
class Ratio:
    """How many times longer one thing takes than another: the median of the rounds, and their range."""

    value: float
    least: float
    most: float
    quickest: float | None = None
    """The same of the quickest call of each, which other work on the machine has disturbed least."""

    def __str__(self) -> str:
        quickest = "" if self.quickest is None else f"; quickest {self.quickest:.3g}"
        return f"{self.value:.3g} ({self.least:.3g} to {self.most:.3g}{quickest})"


def ratio(above: Sequence[float], below: Sequence[float], quickest: float | None = None) -> Ratio:
    """Round by round: what was slow in one round was slow for both."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    return Ratio(median(each), min(each), max(each), quickest)


def compared(above: Case | None, below: Case | None) -> Ratio | None:
    """How many times longer the first takes, if both were measured."""
    if above is None or below is None:
        return None
    return ratio(above.rounds, below.rounds, min(above.micros) / min(below.micros))
