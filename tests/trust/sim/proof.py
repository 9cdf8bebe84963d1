"""The simulator as a proof."""

from __future__ import annotations

from tests.trust.proof import Finding, Scale
from tests.trust.sim.report import summary

PROMISE = (
    "Whatever is killed, stalled or lost, at any door: no hour is oversold, nothing is lost, nothing stays."
)
SEEDS = {Scale.QUICK: 2, Scale.SHORT: 60, Scale.FULL: 25_000}


def prove(scale: Scale, seed: int) -> Finding:
    told = summary(range(seed, seed + SEEDS[scale]))
    finding = Finding()
    finding.show("seeds", told["seeds"])
    finding.zero("violations", len(told["violations"]))
    return finding
