"""The proof of locked doors in its quickest form."""

from __future__ import annotations

import pytest

from tests.trust.doors.proof import prove
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow]


def test_the_doors_are_locked() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.faults == []
    assert finding.ok, finding.figures
