"""Some interleavings of promises on a real PostgreSQL, and the control that shows that they would tell."""

from __future__ import annotations

import pytest

from tests.trust.interleavings import proof
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


def test_every_schedule_is_there_once() -> None:
    assert len(set(proof.TWO.schedules())) == 70
    assert len(set(proof.THREE.schedules())) == 1680


def test_what_serial_orders_lead_to() -> None:
    assert proof.TWO.outcomes() == {(True, False), (False, True)}
    assert proof.THREE.outcomes() == {(True, True, False), (False, False, True)}


def test_the_quick_proof_holds() -> None:
    finding = proof.prove(Scale.QUICK, 1)
    assert finding.ok, (finding.faults, [figure for figure in finding.figures if not figure.ok])
