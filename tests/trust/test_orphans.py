"""Clusters under kill -9 in the shortest form, and what keeps them from being left, broken once each."""

from __future__ import annotations

import os
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from booking.adapters.base import ClusterState
from tests.trust.hostile.victim import SECONDS as PATIENCE
from tests.trust.hostile.victim import Machine, awaited, machine
from tests.trust.orphans.census import Census
from tests.trust.orphans.foreign import Foreign
from tests.trust.orphans.proof import prove
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("orphans")]
NAME = "cluster0000"
FOLDER = f"bk-{NAME}"
SECONDS = 3.0
"""How long a fault is given to show itself; what is as it should be has longer, and takes less."""


def test_nothing_is_left_and_what_is_wanted_runs_once() -> None:
    finding = prove(Scale.QUICK, 0)
    assert finding.faults == []
    assert [figure for figure in finding.figures if not figure.ok] == []


def count(place: Machine) -> Census:
    return place.counter.count()


def end_without_service(place: Machine, seconds: float) -> None:
    """Its time comes, and nobody is there but its guardian."""
    place.cluster(NAME)
    place.clock.jump_to(place.clock.now() + timedelta(hours=2))
    awaited(lambda: FOLDER not in place.counter.folders() and not count(place).processes, seconds)


def test_a_guardian_alone_ends_its_cluster_on_time(tmp_path: Path) -> None:
    with machine(tmp_path / "place", None) as place:
        end_without_service(place, PATIENCE)
        assert count(place).processes == {}
        assert place.counter.folders() == set()


def test_a_guardian_that_forgets_its_deadline_is_noticed(tmp_path: Path) -> None:
    with machine(tmp_path / "place", None, "deadline not kept") as place:
        end_without_service(place, SECONDS)
        assert count(place).processes.keys() == {FOLDER}


def test_a_guardian_that_leaves_its_folder_is_noticed(tmp_path: Path) -> None:
    with machine(tmp_path / "place", None, "folder not removed") as place:
        end_without_service(place, SECONDS)
        assert place.counter.folders() == {FOLDER}


def kill_guardian(place: Machine) -> None:
    (guardian,) = count(place).guardians[FOLDER]
    os.kill(guardian.pid, signal.SIGKILL)


def test_a_cluster_ends_with_its_guardian(tmp_path: Path) -> None:
    with machine(tmp_path / "place", None) as place:
        place.cluster(NAME)
        kill_guardian(place)
        assert awaited(lambda: count(place).processes == {}, PATIENCE)


def test_a_cluster_that_outlives_its_guardian_is_noticed(tmp_path: Path) -> None:
    with machine(tmp_path / "place", None, "keeper outlives its guardian") as place:
        place.cluster(NAME)
        kill_guardian(place)
        awaited(lambda: count(place).processes == {}, SECONDS)
        assert count(place).processes.keys() == {FOLDER}


def test_a_cluster_ends_with_a_guardian_that_was_killed_as_it_began(tmp_path: Path) -> None:
    with machine(tmp_path / "place", None, "slow to follow its guardian") as place:
        place.provisioner.provision(place.specification(NAME))
        assert awaited(lambda: len(count(place).processes.get(FOLDER, ())) == 2)
        kill_guardian(place)
        (tmp_path / "place" / "site" / "go").touch()
        assert awaited(lambda: count(place).processes == {}, PATIENCE)


def test_a_service_killed_while_it_makes_a_cluster_is_followed_by_one_that_makes_no_second(
    tmp_path: Path,
) -> None:
    with machine(tmp_path / "place", None, "slow to say who it is") as place:
        specification = place.specification(NAME)
        assert place.provisioner.containment
        first = os.fork()
        if first == 0:
            place.provisioner.provision(specification)
            os._exit(0)
        assert awaited(lambda: len(count(place).processes.get(FOLDER, ())) == 2)
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
        begun = count(place).processes[FOLDER]
        place.provisioner.provision(specification)
        assert place.provisioner.observe(NAME).state is ClusterState.STARTING
        (tmp_path / "place" / "site" / "go").touch()
        assert awaited(lambda: place.provisioner.observe(NAME).state is ClusterState.READY)
        (guardian,) = count(place).guardians[FOLDER]
        assert guardian in begun


def test_a_namespace_that_was_counted_keeps_its_number_until_it_is_counted_again(tmp_path: Path) -> None:
    words = ["unshare", "--fork", "--pid", "--mount-proc", "stat", "--dereference", "--format=%i"]
    with machine(tmp_path / "place", None) as place:
        place.cluster(NAME)
        assert count(place).processes.keys() == {FOLDER}
        (number,) = place.counter.namespaces
        place.provisioner.teardown(NAME, grace=timedelta(0))
        assert awaited(lambda: place.provisioner.observe(NAME).state is ClusterState.ABSENT)
        others = {int(subprocess.check_output([*words, "/proc/self/ns/pid"])) for _ in range(20)}
        assert number not in others
        assert awaited(lambda: not count(place).processes)
        assert place.counter.namespaces == set()


def test_clusters_of_others_are_neither_listed_nor_touched(tmp_path: Path) -> None:
    with machine(tmp_path / "place", None) as place:
        foreign = Foreign(place.home, tmp_path / "place" / "site", place.clock)
        try:
            place.cluster(NAME)
            assert place.provisioner.inventory() == {NAME}
            with pytest.MonkeyPatch.context() as broken:
                broken.setattr("booking.adapters.local.provisioner.is_ours", lambda *_: True)
                assert place.provisioner.inventory() > {NAME}
            place.provisioner.teardown(NAME, grace=timedelta(0))
            assert awaited(lambda: place.provisioner.observe(NAME).state is ClusterState.ABSENT)
            assert foreign.touched() == 0
        finally:
            foreign.close()
