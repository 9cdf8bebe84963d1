"""Hostile code in real clusters, in its shortest form, and a cluster that does not end what it should."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from booking.adapters.local.containment import Containment
from tests.trust.hostile.acts import ACTS
from tests.trust.hostile.proof import prove
from tests.trust.hostile.victim import awaited, end, machine
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile")]


def test_nothing_is_left_of_hostile_code() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.faults == []
    assert [figure for figure in finding.figures if not figure.ok] == []


def test_a_cluster_that_does_not_end_its_processes_is_noticed(tmp_path: Path) -> None:
    name = "leaves its family"
    with machine(tmp_path / "place", Containment.SUBREAPER, "processes not ended") as place:
        cluster = place.cluster("hostile0000")
        assert cluster.run(name, ACTS[name], {}) == "gone"
        cluster.remember()
        place.clock.jump_to(place.clock.now() + timedelta(hours=2))
        assert awaited(lambda: not cluster.workspace.exists())
        left = cluster.survivors()
        end(left)
        assert left
