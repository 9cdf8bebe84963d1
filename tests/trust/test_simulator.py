"""The simulator on a few seeds: nothing that must never be, the same trace each time, and planted bugs found."""

from __future__ import annotations

import pytest

from tests.trust.bugs import counting, making, promising
from tests.trust.bugs.planting import BUGS, hunt
from tests.trust.sim.world import simulate

KINDS = (counting, making, promising)
pytestmark = [pytest.mark.slow]


@pytest.mark.parametrize("seed", range(2))
def test_no_seed_shows_what_must_never_be(seed: int) -> None:
    result = simulate(seed)
    assert result.violations == []
    assert simulate(seed).trace == result.trace


def test_bugs_of_every_kind_are_planted() -> None:
    assert len(BUGS) >= 20
    assert {bug.plant.__module__ for bug in BUGS.values()} == {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("name", ["check and insert in two transactions", "cancelled time not given back"])
def test_a_planted_bug_is_caught(name: str) -> None:
    assert hunt(name, 60).seed is not None
