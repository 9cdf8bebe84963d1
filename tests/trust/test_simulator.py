"""The simulator in its quickest form, and that it sees what is planted; the proofs run many more seeds."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.trust.bugs.garden import BUGS, FILES
from tests.trust.bugs.hunting import Catch
from tests.trust.bugs.proof import prove as prove_bugs
from tests.trust.bugs.proof import recorded, told
from tests.trust.proof import Scale
from tests.trust.sim.points import aimed, not_hit
from tests.trust.sim.proof import prove
from tests.trust.sim.world import simulate

pytestmark = [pytest.mark.slow]


def test_no_seed_shows_what_must_never_be_and_each_can_be_repeated() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.ok, finding.faults
    assert {figure.name: figure.value for figure in finding.figures}["of them with another trace"] == 0


def test_bugs_of_every_kind_are_planted_and_no_seed_is_recorded_in_vain() -> None:
    assert {bug.plant.__module__ for bug in BUGS.values()} == {kind.__name__ for kind in FILES}
    assert len(BUGS) >= 20
    assert set(recorded()) <= set(BUGS)
    assert max(recorded().values()) < 300


def test_planted_bugs_are_caught() -> None:
    finding = prove_bugs(Scale.QUICK, 0)
    assert finding.ok, finding.faults


def test_a_bug_that_is_not_caught_is_a_fault() -> None:
    assert not told([Catch(next(iter(BUGS)), None, None)], Scale.SHORT).ok


def test_what_was_not_hit_is_aimed_at() -> None:
    points = Counter({("run:book:after", "continue"): 3, ("run:book:after", "stall"): 1})
    missing = not_hit(points)
    assert missing == [("run:book:after", "kill"), ("run:book:after", "lost")]
    ((seed, aims), *_) = aimed(missing, range(8, 10))
    assert simulate(seed, aims=aims).points[aims[0]] > 0
