"""Many seeds, and what they showed together."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from tests.trust.sim.hub import Fate
from tests.trust.sim.world import Result, simulate

FAULTS = (Fate.KILL, Fate.STALL, Fate.LOST)
_UNANSWERED = ("beat", "sleep")
"""Points at which there is no answer that could be lost."""


def not_hit(points: Counter[tuple[str, str]]) -> list[str]:
    """Each crash point with a fate that it has not met."""
    names = sorted({name for name, _ in points})
    return [
        f"{name} {fate}"
        for name in names
        for fate in FAULTS
        if not points[name, fate] and not (fate is Fate.LOST and name in _UNANSWERED)
    ]


def run(seeds: Iterable[int], hours: int | None = None) -> Iterable[Result]:
    """One result after another; what dead processes leave behind is collected in between."""
    for number, seed in enumerate(seeds):
        yield simulate(seed, hours)
        if number % 5 == 4:
            gc.collect()


def summary(seeds: Iterable[int], hours: int | None = None) -> dict[str, Any]:
    """What all seeds showed, as plain values."""
    began = time.process_time()
    counts: Counter[str] = Counter()
    points: Counter[tuple[str, str]] = Counter()
    trace = blake2b(digest_size=16)
    violations, simulated, done = [], 0.0, 0
    for result in run(seeds, hours):
        counts += result.counts
        points += result.points
        trace.update(result.trace.encode())
        simulated += result.hours
        done += 1
        violations += [
            {"seed": result.seed, "invariant": v.invariant, "detail": v.detail, "at": v.at}
            for v in result.violations
        ]
    seconds = time.process_time() - began
    fates: Counter[str] = Counter()
    for (_, fate), times in points.items():
        fates[fate] += times
    return {
        "seeds": done,
        "simulated hours": round(simulated, 1),
        "cpu seconds": round(seconds, 1),
        "seeds per cpu second": round(done / seconds, 2),
        "trace": trace.hexdigest(),
        "violations": violations,
        "fates": dict(sorted(fates.items())),
        "counts": dict(sorted(counts.items())),
        "crash points": len({name for name, _ in points}),
        "not hit": not_hit(points),
    }
