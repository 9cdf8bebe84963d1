"""The simulator in its quickest form, and that it sees what is planted; the proofs run many more seeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.trust.bugs.garden import BUGS, FILES
from tests.trust.bugs.hunting import Catch, planted
from tests.trust.bugs.proof import prove as prove_bugs
from tests.trust.bugs.proof import recorded, told
from tests.trust.proof import Scale
from tests.trust.sim.points import aimed, not_hit
from tests.trust.sim.portions import Portion, added, kept, put, run_portion
from tests.trust.sim.portions import told as told_in_all
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


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_planted_where_there_still_is_something_and_taken_out_again(name: str) -> None:
    with planted(name):
        pass


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


def test_portions_add_up_to_one_line_of_the_page_and_no_seed_counts_twice(tmp_path: Path) -> None:
    file, shown = tmp_path / "portions.json", tmp_path / "trust.md"
    run_portion(file, 1, 1, 0)
    run_portion(file, 0, 1, 0)
    with pytest.raises(ValueError, match="seeds 1 to 1 have been run before"):
        run_portion(file, 1, 3, 0)
    assert not put(file, shown).faults  # two seeds miss many a crash point, and the page says so
    report, again = added(kept(file))
    assert (report.seeds, again.seeds, [one.first for one in kept(file)]) == (2, 1, [0, 1])
    assert report.points == simulate(0).points + simulate(1).points
    page = shown.read_text()
    assert "| seeds | 2 |" in page
    assert page.count("| 0 to 0 | 0 | 1 |") == page.count("| 1 to 1 | 0 | 0 |") == 1


def test_a_sum_is_at_full_length_only_with_as_many_seeds_and_replays() -> None:
    def one(first: int, seeds: int, commit: str, *differ: int) -> Portion:
        replayed = {str(n): ("a", "b" if n in differ else "a") for n in range(first, first + seeds, 25)}
        points = [("answer", fate, 1) for fate in ("kill", "lost", "stall")]
        return Portion(first, seeds, 0, commit, "2030-01-07 09:00", 9.0, 1.0, {}, points, [], replayed)

    part, rest = one(0, 20_000, "abc"), one(20_000, 5_000, "def")
    assert told_in_all([part]).scale is Scale.SHORT
    whole = told_in_all([part, rest])
    assert (whole.scale, whole.commit, whole.seconds, whole.finding.ok) == (
        Scale.FULL,
        "abc, def",
        18.0,
        True,
    )
    assert not told_in_all([part, one(20_000, 5_000, "def", 20_025)]).finding.ok
