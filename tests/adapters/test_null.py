"""The twin keeps the contract, in memory and in a folder, and does what a test asks of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from booking.adapters.base import ClusterState, ProvisionerError
from booking.adapters.null import Call, Moment, NullProvisioner
from tests.adapters.contract import NO_GRACE, RESERVATION, ClockedOutside, Outside, ProvisionerContract
from tests.support.doors import START, TestClock

SECOND = timedelta(seconds=1)
STEPS = 60


class NullOutside(ClockedOutside):
    """A twin whose clock the test moves."""

    def __init__(self, folder: Path | None) -> None:
        self.clock = TestClock()
        self._folder = folder
        self._only = self._new()

    def _new(self) -> NullProvisioner:
        return NullProvisioner(self.clock, self._folder, ready_after=2 * SECOND, gone_after=2 * SECOND)

    def provisioner(self) -> NullProvisioner:
        # In memory the object is the outside: a second one would see another world.
        return self._only if self._folder is None else self._new()

    def half_make(self, reservation_id: str) -> None:
        self.provisioner().lose(reservation_id)

    def made(self, reservation_id: str) -> int:
        return self.provisioner().created(reservation_id)


class TestInMemory(ProvisionerContract):
    @pytest.fixture
    def outside(self) -> Outside:
        return NullOutside(None)


class TestInFolder(ProvisionerContract):
    @pytest.fixture
    def outside(self, tmp_path: Path) -> Outside:
        return NullOutside(tmp_path / "null")


@pytest.fixture
def outside() -> NullOutside:
    return NullOutside(None)


def test_a_cluster_starts_for_as_long_as_it_was_told_to(outside: NullOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(outside.spec())
    outside.clock.set(START + SECOND)
    assert provisioner.observe(RESERVATION).state is ClusterState.STARTING
    outside.clock.set(START + 2 * SECOND)
    assert provisioner.observe(RESERVATION).state is ClusterState.READY


def test_a_cluster_stops_for_as_long_as_it_was_told_to(outside: NullOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(outside.spec())
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    assert provisioner.observe(RESERVATION).state is ClusterState.STOPPING
    with pytest.raises(ProvisionerError) as refused:
        provisioner.provision(outside.spec())
    assert refused.value.transient
    outside.clock.set(START + 2 * SECOND)
    assert provisioner.observe(RESERVATION).state is ClusterState.ABSENT


def test_every_cluster_really_made_and_destroyed_is_recorded(outside: NullOutside) -> None:
    provisioner = outside.provisioner()
    for _ in range(2):
        provisioner.provision(outside.spec())
        provisioner.provision(outside.spec())
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
    assert [event.kind for event in provisioner.events] == ["created", "destroyed"] * 2
    assert provisioner.created(RESERVATION) == 2


def fail_at(wanted: Call, when: Moment) -> Callable[[Call, str, Moment], None]:
    def fault(call: Call, _reservation_id: str, moment: Moment) -> None:
        if (call, moment) == (wanted, when):
            raise ProvisionerError("as the test wished")

    return fault


def test_a_refused_call_has_no_effect(tmp_path: Path) -> None:
    clock = TestClock()
    outside = NullOutside(tmp_path)
    failing = NullProvisioner(clock, tmp_path, faults=fail_at("provision", "before"))
    with pytest.raises(ProvisionerError):
        failing.provision(outside.spec())
    assert failing.observe(RESERVATION).state is ClusterState.ABSENT


def test_a_call_whose_answer_is_lost_had_its_effect(tmp_path: Path) -> None:
    clock = TestClock()
    outside = NullOutside(tmp_path)
    failing = NullProvisioner(clock, tmp_path, faults=fail_at("provision", "after"))
    with pytest.raises(ProvisionerError):
        failing.provision(outside.spec())
    assert failing.observe(RESERVATION).state is ClusterState.READY
    assert failing.created(RESERVATION) == 1


def test_the_folder_keeps_clusters_and_history_for_the_next_process(tmp_path: Path) -> None:
    outside = NullOutside(tmp_path)
    outside.provisioner().provision(outside.spec())
    assert NullProvisioner(outside.clock, tmp_path).created(RESERVATION) == 1
    assert NullProvisioner(outside.clock, tmp_path).inventory() == {RESERVATION}
