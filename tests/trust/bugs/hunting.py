"""How a planted bug is hunted: seeds are run with it in the code until an invariant is broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.trust.bugs.garden import BUGS
from tests.trust.bugs.planting import Spade
from tests.trust.sim.hub import Violation
from tests.trust.sim.site import prepare
from tests.trust.sim.world import simulate


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The real code with that bug in it."""
    prepare()
    spade = Spade()
    try:
        BUGS[name].plant(spade)
        yield
    finally:
        spade.clean()


@dataclass(frozen=True)
class Catch:
    """What a hunt found: the seed and the first violation, or neither."""

    bug: str
    seed: int | None
    violation: Violation | None


def hunt(name: str, max_seeds: int, first: int = 0) -> Catch:
    """Run seeds with a bug in the code until an invariant is broken."""
    with planted(name):
        for seed in range(first, first + max_seeds):
            found = simulate(seed).violations
            if found:
                return Catch(name, seed, found[0])
    return Catch(name, None, None)
