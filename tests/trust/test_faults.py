"""A full disk and a clock that jumps, on a small scale: writes wait, reads live, nothing happens twice."""

from __future__ import annotations

import pytest

from tests.trust.faults.proof import prove
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]


def test_a_fault_of_the_disk_or_the_clock_costs_no_booking() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.faults == []
    # How late things are says more about the machine that runs all tests at once.
    assert [figure for figure in finding.figures if not figure.ok and "seconds" not in figure.name] == []
