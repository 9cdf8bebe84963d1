"""Yesterday's backup onto today's clusters: nothing is ended until somebody says so."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.drills.yesterday import place, restore_yesterday


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["null", pytest.param("local", marks=pytest.mark.clusters)])
def test_nothing_is_ended_until_it_is_told(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with place(tmp_path, kind) as (site, outside):
        seen = restore_yesterday(site, outside)
    assert len(seen.running) == 4
    assert seen.paused == seen.running
    assert seen.listed == seen.running - seen.known
    assert seen.asked
    assert seen.ended == seen.known
    assert seen.faults == []
    (told, *_) = [record.getMessage() for record in caplog.records if "paused" in record.getMessage()]
    assert "restored from a backup" in told
    assert all(name in told for name in seen.listed)
