"""Measuring: interleaved rounds in one run, so that a busy machine is busy for all alike."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass
class Case:
    """One thing to time, at one size; `before` is done before each call and not timed."""

    name: str
    entries: int
    call: Callable[[], object]
    before: Callable[[], object] | None = None
    calls: int = 20
    micros: list[float] = field(default_factory=list)

    def round(self) -> None:
        for _ in range(self.calls):
            if self.before is not None:
                self.before()
            start = time.perf_counter()
            self.call()
            self.micros.append((time.perf_counter() - start) * 1e6)


def interleaved(cases: Sequence[Case], rounds: int) -> None:
    """Each round runs every case, in an order that turns about; the first call of each is a warm-up."""
    for case in cases:
        case.call()
    for number in range(rounds):
        for case in cases if number % 2 else cases[::-1]:
            case.round()


def report(cases: Sequence[Case], goals: Mapping[str, float]) -> bool:
    """A JSON line for each case and for each ratio of the largest size to the smallest; a table on stderr.

    :returns: whether every goal is met.
    """
    met = True
    _table("case", "entries", "median us", "p95 us", "calls")
    for case in cases:
        middle, late = median(case.micros), quantiles(case.micros, n=20)[-1]
        _line(
            case=case.name,
            entries=case.entries,
            median_us=round(middle, 1),
            p95_us=round(late, 1),
            calls=len(case.micros),
        )
        _table(case.name, case.entries, f"{middle:.0f}", f"{late:.0f}", len(case.micros))
    for name in dict.fromkeys(case.name for case in cases):
        sizes = sorted((case for case in cases if case.name == name), key=lambda case: case.entries)
        if len(sizes) < 2:
            continue
        ratio, goal = median(sizes[-1].micros) / median(sizes[0].micros), goals.get(name)
        met = met and (goal is None or ratio <= goal)
        entries = [sizes[0].entries, sizes[-1].entries]
        _line(case=name, entries=entries, ratio_of_medians=round(ratio, 3), goal=goal)
        _table(name, f"{entries[1]} / {entries[0]}", f"x {ratio:.2f}", f"goal {goal}" if goal else "")
    return met


def _line(**values: object) -> None:
    print(json.dumps(values), flush=True)


def _table(*cells: object) -> None:
    first, *rest = map(str, cells)
    print(f"{first:<36}" + "".join(f"{cell:>18}" for cell in rest), file=sys.stderr)
