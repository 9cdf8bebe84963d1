"""A short race on both kinds of database, with its controls."""

from __future__ import annotations

import pytest

from tests.trust.proof import Scale
from tests.trust.race import proof
from tests.trust.race.course import KINDS

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.mark.parametrize("kind", KINDS)
def test_the_quick_race_holds(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "KINDS", (kind,))
    finding = proof.prove(Scale.QUICK, 1)
    assert finding.ok, (finding.faults, [figure for figure in finding.figures if not figure.ok])
