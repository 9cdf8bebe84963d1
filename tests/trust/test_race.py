"""A short race on both kinds of database, with its controls; and rounds that are added up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust import page
from tests.trust.proof import Scale
from tests.trust.race import proof
from tests.trust.race.course import KINDS
from tests.trust.race.portions import kept, missing, put, run_portion, told

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.mark.parametrize("kind", KINDS)
def test_the_quick_race_holds(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "KINDS", (kind,))
    finding = proof.prove(Scale.QUICK, 1)
    assert finding.ok, (finding.faults, [figure for figure in finding.figures if not figure.ok])


def test_rounds_add_up_to_one_line_of_the_page_and_none_counts_twice(tmp_path: Path) -> None:
    file, shown = tmp_path / "race.json", tmp_path / "trust.md"
    quick = proof.LENGTHS[Scale.QUICK]
    assert missing(file)[:3] == [("PostgreSQL", 0), ("SQLite", 0), ("PostgreSQL", 1)]
    for number in (2, 1):
        assert run_portion(file, "SQLite", number, quick).faults == []
    with pytest.raises(ValueError, match="round 2 on SQLite has been run before"):
        run_portion(file, "SQLite", 2, quick)
    assert [one.number for one in kept(file)] == [1, 2]
    assert ("SQLite", 1) not in missing(file)
    assert not put(file, shown).ok, "there is far too little of it, and none on PostgreSQL"
    report = page.kept(shown)["race"]
    assert report == told(kept(file))
    assert report.scale is Scale.SHORT
    attempts = {figure.name: figure.value for figure in report.finding.figures if "attempts" in figure.name}
    assert attempts == {"PostgreSQL: attempts": 0, "SQLite: attempts": 2 * quick.clients * quick.attempts}
