"""Which proofs there are, in the order of the page; each is a module with a `PROMISE` and a `prove`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from tests.trust.proof import Prove, Scale


@dataclass(frozen=True)
class Entry:
    """Where a proof lives, and how many seconds it may take before it counts as hung, by scale."""

    title: str
    module: str
    patience: dict[Scale, float]

    @property
    def promise(self) -> str:
        """The sentence that the proof is about."""
        return str(import_module(self.module).PROMISE)

    @property
    def prove(self) -> Prove:
        found: Prove = import_module(self.module).prove
        return found


def _entry(title: str, module: str, short: float, full: float) -> Entry:
    return Entry(title, f"tests.trust.{module}", {Scale.QUICK: 120, Scale.SHORT: short, Scale.FULL: full})


PROOFS: dict[str, Entry] = {
    "simulator": _entry("The simulator", "sim.proof", 900, 12 * 3600),
    "bugs": _entry("Planted bugs", "bugs.proof", 900, 6 * 3600),
    "race": _entry("Never oversold: the race", "race.proof", 600, 12 * 3600),
    "history": _entry("Answers that some order explains", "history.proof", 400, 6 * 3600),
    "interleavings": _entry("Every interleaving of a promise", "interleavings.proof", 400, 3600),
    "orphans": _entry("No orphan", "orphans.proof", 600, 3 * 3600),
    "hostile": _entry("Hostile code", "hostile.proof", 240, 3600),
    "chaos": _entry("The chaos hour", "chaos.proof", 900, 3 * 3600),
    "failover": _entry("A primary is lost", "failover.proof", 500, 3 * 3600),
    "network": _entry("A bad network", "network.proof", 500, 3 * 3600),
    "drills": _entry("Drills", "drills.proof", 600, 6 * 3600),
    "doors": _entry("Doors locked", "doors.proof", 600, 8 * 3600),
    "kills": _entry("Kill sweeps", "kills.proof", 1200, 6 * 3600),
    "faults": _entry("Disk, clock, stalls", "faults.proof", 500, 3 * 3600),
    "soak": _entry("The soak", "soak.proof", 400, 3 * 3600),
}
