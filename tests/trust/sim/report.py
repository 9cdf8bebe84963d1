"""Many seeds, and what they showed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tests.trust.sim.points import not_hit, share_hit
from tests.trust.sim.world import Result


@dataclass
class Report:
    """The sum of many results."""

    seeds: int = 0
    hours: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    points: Counter[tuple[str, str]] = field(default_factory=Counter)
    traces: dict[int, str] = field(default_factory=dict)
    violations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, results: Iterable[Result]) -> None:
        for result in results:
            self.seeds += 1
            self.hours += result.hours
            self.counts.update(result.counts)
            self.points.update(result.points)
            self.traces[result.seed] = result.trace
            told = {"seed": result.seed, "aims": result.aims}
            self.violations += [
                told | {"invariant": v.invariant, "detail": v.detail, "at": v.at} for v in result.violations
            ]

    @property
    def fates(self) -> dict[str, int]:
        """How often each fate was met."""
        fates: Counter[str] = Counter()
        for (_, fate), times in self.points.items():
            fates[fate] += times
        return dict(sorted(fates.items()))

    @property
    def trace(self) -> str:
        """One hash over the traces of all seeds."""
        told = "\n".join(f"{seed} {trace}" for seed, trace in sorted(self.traces.items()))
        return blake2b(told.encode(), digest_size=16).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "seeds": self.seeds,
            "simulated hours": round(self.hours, 1),
            "trace": self.trace,
            "violations": self.violations,
            "fates": self.fates,
            "counts": dict(sorted(self.counts.items())),
            "crash points": len({name for name, _ in self.points}),
            "crash points with each fate, in %": round(share_hit(self.points), 1),
            "not hit": [f"{name} {fate}" for name, fate in not_hit(self.points)],
        }
