"""The soak on a small scale, and that a leak would be seen."""

from __future__ import annotations

import pytest

from tests.trust.proof import Finding, Scale
from tests.trust.soak.proof import _compare, prove
from tests.trust.soak.sample import Held, Sample

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]


def test_nothing_is_kept_open_and_nothing_is_left() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.faults == []
    # Memory settles only after a longer warm-up than a test can wait for.
    assert [figure for figure in finding.figures if not figure.ok and "memory" not in figure.name] == []


@pytest.mark.parametrize(
    "leaking",
    [
        Sample({7: Held(106_000, 10, 5)}, 3),
        Sample({7: Held(100_000, 11, 5)}, 3),
        Sample({7: Held(100_000, 10, 6)}, 3),
        Sample({7: Held(100_000, 10, 5)}, 4),
        Sample({8: Held(100_000, 10, 5)}, 3),
    ],
    ids=["memory", "descriptor", "thread", "session", "started again"],
)
def test_a_leak_is_seen(leaking: Sample) -> None:
    finding = Finding()
    _compare(finding, Sample({7: Held(100_000, 10, 5)}, 3), leaking)
    assert not finding.ok
