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
    "simulator": _entry("The simulator", "sim.proof", 600, 6 * 3600),
    "race": _entry("Never oversold: the race", "race.proof", 600, 12 * 3600),
    "history": _entry("Answers that some order explains", "history.proof", 400, 6 * 3600),
    "interleavings": _entry("Every interleaving of a promise", "interleavings.proof", 400, 3600),
}
