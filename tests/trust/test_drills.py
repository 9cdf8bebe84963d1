"""The drills in their quickest form."""

from __future__ import annotations

from pathlib import Path

import pytest

from booking.services import pausing
from tests.drills.yesterday import place, restore_yesterday
from tests.trust.drills.proof import prove
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow]


@pytest.mark.postgres
def test_the_drills_show_what_they_promise() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.faults == []
    assert [figure for figure in finding.figures if not figure.ok] == []


def test_a_scheduler_that_does_not_pause_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with both defences gone, what runs today is ended, and the drill says so."""
    monkeypatch.setattr(pausing, "reason", lambda _: None)
    monkeypatch.setattr(pausing, "is_suspicious", lambda *_: False)
    with place(tmp_path, "null") as (site, outside):
        seen = restore_yesterday(site, outside)
    assert seen.running - seen.paused == seen.running - seen.known
