"""Clusters on this machine keep the contract, with real notebook servers and real Dask schedulers."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from booking.adapters.base import ClusterState, ProvisionerError
from booking.adapters.local.containment import Containment
from booking.adapters.local.provisioner import LocalProvisioner
from booking.adapters.local.workspace import Workspace
from tests.adapters.contract import LIVING, NO_GRACE, RESERVATION, Outside, ProvisionerContract
from tests.adapters.machine import LocalOutside, identities, running
from tests.adapters.waiting import eventually

pytestmark = pytest.mark.clusters


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[LocalOutside]:
    outside = LocalOutside(tmp_path / "home")
    yield outside
    outside.clear()


class TestContract(ProvisionerContract):
    @pytest.fixture
    def outside(self, machine: LocalOutside) -> Outside:
        return machine


def test_a_folder_without_any_file_in_it_is_lost_and_cleaned_away(machine: LocalOutside) -> None:
    machine.folder(RESERVATION).mkdir(parents=True)
    provisioner = machine.provisioner()
    assert provisioner.observe(RESERVATION).state is ClusterState.LOST
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    assert not machine.folder(RESERVATION).exists()


def test_folders_that_are_not_clusters_are_left_alone(machine: LocalOutside) -> None:
    strange = machine.home / "workspaces" / "bk-Not A Reservation"
    strange.mkdir(parents=True)
    assert machine.provisioner().inventory() == frozenset()
    assert strange.is_dir()


def test_the_workspace_is_for_its_owner_only_and_secrets_for_their_reader(machine: LocalOutside) -> None:
    machine.provisioner().provision(machine.spec())
    folder = machine.folder(RESERVATION)
    assert folder.stat().st_mode & 0o777 == 0o700
    for secret in ("token", "inside/conf/cluster.key"):
        assert (folder / secret).stat().st_mode & 0o777 == 0o600


def test_a_service_killed_after_provisioning_leaves_a_cluster_that_the_next_one_ends(
    machine: LocalOutside,
) -> None:
    spec = machine.spec()
    code = f"""
import os, signal
from pathlib import Path
from booking.adapters.base import ClusterSpec
from booking.adapters.local.provisioner import LocalProvisioner
from booking.doors import SystemClock
spec = ClusterSpec.from_json({spec.as_json()!r})
LocalProvisioner(Path({str(machine.home)!r}), SystemClock()).provision(spec)
os.kill(os.getpid(), signal.SIGKILL)
"""
    source = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", code], cwd=source, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    successor = machine.provisioner()
    assert successor.observe(RESERVATION).state in LIVING
    successor.teardown(RESERVATION, grace=NO_GRACE)
    machine.wait_for(successor, RESERVATION, ClusterState.ABSENT)
    assert running(str(machine.folder(RESERVATION))) == []


def test_a_part_that_ends_early_is_started_again_until_the_cluster_is_lost(machine: LocalOutside) -> None:
    provisioner = machine.provisioner()
    provisioner.provision(machine.spec())
    seen: set[int] = set()
    for _ in range(3):
        (fresh,) = eventually(lambda: set(running(str(machine.folder(RESERVATION)), "jupyterlab")) - seen)
        seen.add(fresh)
        os.kill(fresh, signal.SIGKILL)
    lost = machine.wait_for(provisioner, RESERVATION, ClusterState.LOST)
    assert "notebook" in lost.detail
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    machine.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)


def test_a_lost_cluster_is_made_anew_by_provisioning_again(machine: LocalOutside) -> None:
    provisioner = machine.provisioner()
    provisioner.provision(machine.spec())
    (guardian,) = identities(machine.folder(RESERVATION))
    guardian.send(signal.SIGKILL)
    machine.wait_for(provisioner, RESERVATION, ClusterState.LOST)
    provisioner.provision(machine.spec())
    assert provisioner.observe(RESERVATION).state in LIVING
    assert identities(machine.folder(RESERVATION)) != [guardian]


def test_the_first_process_of_a_cluster_killed_means_lost_and_gone_at_the_deadline(
    machine: LocalOutside,
) -> None:
    provisioner = machine.provisioner()
    provisioner.provision(machine.spec(lasts=timedelta(seconds=8)))
    (guardian,) = identities(machine.folder(RESERVATION))
    (first,) = eventually(lambda: machine.children(guardian.pid))
    os.kill(first, signal.SIGKILL)
    machine.wait_for(provisioner, RESERVATION, ClusterState.LOST)
    machine.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)


def test_a_guardian_that_does_not_end_is_killed_when_it_is_overdue(machine: LocalOutside) -> None:
    provisioner = machine.provisioner()
    provisioner.provision(machine.spec())
    (guardian,) = identities(machine.folder(RESERVATION))
    for pid in machine.children(guardian.pid):
        os.kill(pid, signal.SIGSTOP)
    guardian.send(signal.SIGSTOP)
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    assert provisioner.observe(RESERVATION).state is ClusterState.STOPPING
    machine.clock.later += timedelta(seconds=30)
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    assert provisioner.observe(RESERVATION).state is ClusterState.ABSENT
    assert running(str(machine.folder(RESERVATION))) == []


def test_a_full_disk_does_not_keep_a_cluster_alive(
    machine: LocalOutside, monkeypatch: pytest.MonkeyPatch
) -> None:
    provisioner = machine.provisioner()
    provisioner.provision(machine.spec())

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Workspace, "write", full)
    with pytest.raises(ProvisionerError, match="No space left") as refused:
        provisioner.extend(RESERVATION, machine.now() + timedelta(hours=2))
    assert refused.value.transient
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    assert provisioner.observe(RESERVATION).state is ClusterState.ABSENT
    assert running(str(machine.folder(RESERVATION))) == []


def test_without_namespaces_a_cluster_still_ends_whole(tmp_path: Path) -> None:
    machine = LocalOutside(tmp_path, containment=Containment.SUBREAPER)
    provisioner = machine.provisioner()
    try:
        provisioner.provision(machine.spec(lasts=timedelta(seconds=4)))
        assert not provisioner.capabilities().contains_escapees
        machine.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
        assert running(str(machine.folder(RESERVATION))) == []
    finally:
        machine.clear()


def test_this_machine_is_examined_for_what_contains_a_cluster(machine: LocalOutside) -> None:
    capabilities = machine.provisioner().capabilities()
    assert capabilities.survives_restart
    assert not capabilities.hard_cores
    assert machine.provisioner().containment.sentence in capabilities.notes


def test_an_unknown_engine_is_refused(machine: LocalOutside) -> None:
    with pytest.raises(ProvisionerError, match="dask and spark"):
        LocalProvisioner(machine.home, machine.clock, engine="abacus")


def test_spark_without_java_says_so(machine: LocalOutside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(machine.home))
    provisioner = LocalProvisioner(machine.home, machine.clock, engine="spark")
    with pytest.raises(ProvisionerError, match="Java 17") as refused:
        provisioner.provision(machine.spec())
    assert not refused.value.transient
    assert provisioner.inventory() == frozenset()


@pytest.mark.parametrize(
    "change", [{"notebook_memory_mib": 512}, {"worker_count": 1, "worker_memory_mib": 512}]
)
def test_spark_refuses_a_package_that_is_too_small(machine: LocalOutside, change: dict[str, int]) -> None:
    provisioner = LocalProvisioner(machine.home, machine.clock, engine="spark")
    with pytest.raises(ProvisionerError, match="Spark needs") as refused:
        provisioner.provision(replace(machine.spec(), **change))  # type: ignore[arg-type]
    assert not refused.value.transient
