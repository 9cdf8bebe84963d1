"""What every provisioner promises, whatever it is made of; a subclass says which outside is meant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from booking.adapters.base import (
    ClusterSpec,
    ClusterState,
    Observed,
    Provisioner,
    ProvisionerError,
)
from tests.support.doors import TestClock

RESERVATION = "contract0reservation"
OTHER = "contract0another0one"
NO_GRACE = timedelta(0)
STEPS = 60
LIVING = (ClusterState.STARTING, ClusterState.READY)


class Outside(ABC):
    """One outside world, its clock, and the means to break something in it."""

    @abstractmethod
    def provisioner(self) -> Provisioner:
        """A new provisioner that sees this outside, as after a restart of the service."""

    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def wait_for(self, provisioner: Provisioner, reservation_id: str, state: ClusterState) -> Observed:
        """Let time pass until that state is seen, within bounds."""

    @abstractmethod
    def half_make(self, reservation_id: str) -> None:
        """Leave what is left when the service is killed in the middle of provisioning."""

    @abstractmethod
    def made(self, reservation_id: str) -> int:
        """How many clusters of this reservation were really made, or exist where that is not recorded."""

    def spec(
        self, reservation_id: str = RESERVATION, *, lasts: timedelta = timedelta(hours=1)
    ) -> ClusterSpec:
        return ClusterSpec(
            reservation_id=reservation_id,
            booking_id="contract0booking",
            owner="ada",
            package="small",
            notebook_cores=1,
            notebook_memory_mib=1024,
            worker_cores=1,
            worker_memory_mib=512,
            worker_count=0,
            starts_at=self.now(),
            ends_at=self.now() + lasts,
        )


class ClockedOutside(Outside):
    """An outside whose clock the test moves."""

    clock: TestClock

    def now(self) -> datetime:
        return self.clock.now()

    def wait_for(self, provisioner: Provisioner, reservation_id: str, state: ClusterState) -> Observed:
        for _ in range(STEPS):
            seen = provisioner.observe(reservation_id)
            if seen.state is state:
                return seen
            self.clock.advance(timedelta(seconds=1))
        raise AssertionError(f"never {state}, at last {seen}")


class ProvisionerContract(ABC):
    """The promises of :class:`booking.adapters.base.Provisioner`, one test each."""

    @pytest.fixture
    @abstractmethod
    def outside(self) -> Outside: ...

    @pytest.fixture
    def provisioner(self, outside: Outside) -> Provisioner:
        return outside.provisioner()

    def test_a_reservation_without_a_cluster_is_absent(self, provisioner: Provisioner) -> None:
        assert provisioner.observe(RESERVATION) == Observed(ClusterState.ABSENT)
        assert provisioner.inventory() == frozenset()

    @pytest.mark.parametrize("name", ["../../etc", "short", "UPPERCASE", "a" * 41, "line0break\n", ""])
    def test_an_id_that_could_lead_elsewhere_is_refused(
        self, provisioner: Provisioner, outside: Outside, name: str
    ) -> None:
        with pytest.raises(ProvisionerError) as refused:
            provisioner.observe(name)
        assert not refused.value.transient
        with pytest.raises(ProvisionerError):
            provisioner.provision(replace(outside.spec(), reservation_id=name))
        with pytest.raises(ProvisionerError):
            provisioner.teardown(name, grace=NO_GRACE)

    def test_a_cluster_becomes_ready_and_keeps_its_deadline_visible(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        spec = outside.spec()
        provisioner.provision(spec)
        seen = outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
        assert {"notebook", "scheduler"} <= {endpoint.name for endpoint in seen.endpoints}
        assert seen.ends_at == spec.ends_at
        assert seen.detail

    def test_provisioning_twice_makes_one_cluster(self, provisioner: Provisioner, outside: Outside) -> None:
        provisioner.provision(outside.spec())
        provisioner.provision(outside.spec())
        assert outside.made(RESERVATION) == 1

    def test_two_services_that_provision_at_once_make_one_cluster(self, outside: Outside) -> None:
        spec, rivals = outside.spec(), [outside.provisioner() for _ in range(2)]
        with ThreadPoolExecutor(len(rivals)) as pool:
            list(pool.map(lambda rival: rival.provision(spec), rivals))
        assert outside.made(RESERVATION) == 1

    def test_a_cluster_whose_deadline_has_passed_is_not_made(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        with pytest.raises(ProvisionerError) as refused:
            provisioner.provision(outside.spec(lasts=NO_GRACE))
        assert not refused.value.transient
        assert provisioner.inventory() == frozenset()

    def test_teardown_leaves_nothing_and_may_be_repeated(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        provisioner.provision(outside.spec())
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
        assert provisioner.inventory() == frozenset()
        provisioner.teardown(RESERVATION, grace=NO_GRACE)

    def test_teardown_before_provisioning_does_nothing(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        provisioner.provision(outside.spec())
        assert provisioner.observe(RESERVATION).state in LIVING

    def test_a_cluster_can_be_made_again_after_its_teardown(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        provisioner.provision(outside.spec())
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
        provisioner.provision(outside.spec())
        assert provisioner.observe(RESERVATION).state in LIVING

    def test_a_cluster_ends_at_its_deadline_by_itself(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        provisioner.provision(outside.spec(lasts=timedelta(seconds=4)))
        assert provisioner.observe(RESERVATION).state in LIVING
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
        assert provisioner.inventory() == frozenset()

    def test_an_extended_cluster_outlives_its_first_deadline(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        first = outside.spec(RESERVATION, lasts=timedelta(seconds=6))
        provisioner.provision(first)
        later = first.ends_at + timedelta(hours=2)
        provisioner.extend(RESERVATION, later)
        provisioner.extend(RESERVATION, later)
        provisioner.provision(outside.spec(OTHER, lasts=timedelta(seconds=7)))
        outside.wait_for(provisioner, OTHER, ClusterState.ABSENT)
        seen = provisioner.observe(RESERVATION)
        assert seen.state in LIVING
        assert seen.ends_at == later

    def test_a_shortened_cluster_ends_sooner(self, provisioner: Provisioner, outside: Outside) -> None:
        provisioner.provision(outside.spec())
        provisioner.extend(RESERVATION, outside.now() + timedelta(seconds=1))
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)

    def test_what_does_not_exist_cannot_be_extended(self, provisioner: Provisioner, outside: Outside) -> None:
        with pytest.raises(ProvisionerError) as refused:
            provisioner.extend(RESERVATION, outside.now() + timedelta(hours=1))
        assert not refused.value.transient
        assert provisioner.observe(RESERVATION).state is ClusterState.ABSENT

    def test_a_half_made_cluster_is_lost_and_cleaned_away(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        outside.half_make(RESERVATION)
        assert provisioner.observe(RESERVATION).state is ClusterState.LOST
        assert provisioner.inventory() == {RESERVATION}
        assert provisioner.credentials(RESERVATION) == {}
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
        assert provisioner.inventory() == frozenset()

    def test_a_half_made_cluster_is_made_whole_by_provisioning_again(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        outside.half_make(RESERVATION)
        provisioner.provision(outside.spec())
        assert provisioner.observe(RESERVATION).state in LIVING
        assert outside.made(RESERVATION) == 1

    def test_credentials_exist_as_long_as_the_cluster(
        self, provisioner: Provisioner, outside: Outside
    ) -> None:
        assert provisioner.credentials(RESERVATION) == {}
        provisioner.provision(outside.spec())
        assert provisioner.credentials(RESERVATION)["notebook"]
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        assert provisioner.credentials(RESERVATION) == {}
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
        assert provisioner.credentials(RESERVATION) == {}

    def test_a_new_service_finds_extends_and_ends_what_another_made(self, outside: Outside) -> None:
        outside.provisioner().provision(outside.spec())
        successor = outside.provisioner()
        assert successor.inventory() == {RESERVATION}
        assert successor.observe(RESERVATION).state in LIVING
        later = outside.now() + timedelta(hours=5)
        successor.extend(RESERVATION, later)
        assert outside.provisioner().observe(RESERVATION).ends_at == later
        successor.teardown(RESERVATION, grace=NO_GRACE)
        outside.wait_for(outside.provisioner(), RESERVATION, ClusterState.ABSENT)

    def test_clusters_do_not_disturb_each_other(self, provisioner: Provisioner, outside: Outside) -> None:
        provisioner.provision(outside.spec(RESERVATION))
        provisioner.provision(outside.spec(OTHER))
        assert provisioner.inventory() == {RESERVATION, OTHER}
        assert provisioner.credentials(RESERVATION) != provisioner.credentials(OTHER)
        provisioner.teardown(RESERVATION, grace=NO_GRACE)
        outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
        assert provisioner.observe(OTHER).state in LIVING
