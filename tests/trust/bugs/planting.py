"""How a bug is planted: the real code is changed for as long as a run lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.trust.sim.hub import Violation
from tests.trust.sim.world import simulate


class Spade:
    """Puts something else in the place of an attribute, and everything back at the end."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def plant(self, owner: Any, name: str, value: Any) -> None:
        self._before.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def plant_everywhere(self, owners: tuple[Any, ...], name: str, value: Any) -> None:
        """The same in every module that has imported it."""
        for owner in owners:
            self.plant(owner, name, value)

    def clean(self) -> None:
        while self._before:
            setattr(*self._before.pop())


@dataclass(frozen=True)
class Bug:
    """One mistake that somebody could make."""

    name: str
    plant: Callable[[Spade], None]
    says: str


BUGS: dict[str, Bug] = {}


def bug(function: Callable[[Spade], None]) -> Callable[[Spade], None]:
    """Register a bug under the name of its function; the docstring says what it is."""
    name = function.__name__.replace("_", " ")
    BUGS[name] = Bug(name, function, (function.__doc__ or "").strip())
    return function


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The real code with that bug in it."""
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
