"""The kill sweep on a few points: nothing is lost or doubled, and a planted bug is caught."""

from __future__ import annotations

import pytest

from tests.trust.kills.proof import prove
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow]


def test_no_point_loses_or_doubles_and_the_control_does() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.faults == []
    assert [figure for figure in finding.figures if not figure.ok] == []
