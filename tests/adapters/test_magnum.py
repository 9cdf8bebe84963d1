"""Clusters of Magnum keep the contract of provisioners; what only Magnum does is told beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from booking.adapters.base import (
    ClusterState,
    Misconfigured,
    ProvisionerError,
    Unreachable,
)
from booking.adapters.openstack import clusters
from booking.adapters.openstack.magnum import MagnumProvisioner, Templates
from booking.adapters.openstack.naming import fingerprint
from booking.adapters.openstack.session import Cloud, Deadlines
from tests.adapters.contract import NO_GRACE, RESERVATION, ClockedOutside, Outside, ProvisionerContract
from tests.adapters.waiting import eventually
from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.magnum import TEMPLATE
from tests.support.doors import TestClock

SECOND = timedelta(seconds=1)
USUAL = Templates(TEMPLATE)


class MagnumOutside(ClockedOutside):
    """The fake cloud, whose clock the test moves."""

    def __init__(self, clock: TestClock, cloud: FakeCloud, home: Path) -> None:
        self.clock, self.cloud, self.home = clock, cloud, home

    def provisioner(self, templates: Templates = USUAL, installation: str = "here") -> MagnumProvisioner:
        cloud = Cloud("service", Deadlines(2, 2, 2))
        return MagnumProvisioner(
            cloud, templates, self.home, installation=installation, clock=self.clock, key=b"key"
        )

    def half_make(self, reservation_id: str) -> None:
        self.provisioner().provision(self.spec(reservation_id))
        self.cloud.magnum.all()[0].failed = "CREATE_FAILED"

    def made(self, reservation_id: str) -> int:
        name = f"bk-{reservation_id}-{fingerprint('here')}"
        return len([c for c in self.cloud.magnum.all() if c.body["name"] == name and c.gone_at is None])


@pytest.fixture
def outside(clock: TestClock, cloud: FakeCloud, tmp_path: Path) -> MagnumOutside:
    return MagnumOutside(clock, cloud, tmp_path / "deadlines")


class TestMagnum(ProvisionerContract):
    @pytest.fixture
    def outside(self, outside: MagnumOutside) -> Outside:
        return outside


def test_the_template_is_that_of_the_package_and_the_flavors_those_of_the_pledge(
    outside: MagnumOutside,
) -> None:
    templates = Templates("another", {"small": TEMPLATE}, key_name="ours")
    binding = {"head_flavor": "h", "worker_flavor": "w"}
    outside.provisioner(templates).provision(replace(outside.spec(), worker_count=2, binding=binding))
    (cluster,) = outside.cloud.magnum.all()
    wanted = {"node_count": 2, "master_flavor_id": "h", "flavor_id": "w", "keypair": "ours"}
    assert {key: cluster.body[key] for key in wanted} == wanted
    assert cluster.body["labels"]["booking_reservation"] == RESERVATION


def test_an_unknown_template_is_no_matter_of_trying_again(outside: MagnumOutside) -> None:
    with pytest.raises(ProvisionerError) as refused:
        outside.provisioner(Templates("another")).provision(outside.spec())
    assert not refused.value.transient


def test_a_list_that_is_confused_is_asked_for_again_and_makes_nothing_twice(outside: MagnumOutside) -> None:
    provisioner = outside.provisioner()
    outside.cloud.magnum.is_confused = 2
    provisioner.provision(outside.spec())
    outside.cloud.magnum.is_confused = 2
    provisioner.provision(outside.spec())
    assert outside.made(RESERVATION) == 1


def test_a_list_that_stays_confused_says_nothing_about_the_cluster(
    outside: MagnumOutside, monkeypatch: pytest.MonkeyPatch
) -> None:
    provisioner = outside.provisioner()
    monkeypatch.setattr(clusters, "_PAUSES", (0.0,))
    outside.cloud.magnum.is_confused = 2
    with pytest.raises(Unreachable):
        provisioner.provision(outside.spec())
    provisioner.provision(outside.spec())
    assert outside.made(RESERVATION) == 1


def test_who_is_not_let_in_is_told_so(outside: MagnumOutside) -> None:
    stranger = MagnumProvisioner(
        Cloud("stranger"), USUAL, outside.home, installation="here", clock=outside.clock, key=b"key"
    )
    with pytest.raises(Misconfigured):
        stranger.observe(RESERVATION)


@pytest.mark.parametrize("workers", [1, 5, 0])
def test_one_whose_workers_somebody_changed_is_resized_and_not_made_anew(
    outside: MagnumOutside, workers: int
) -> None:
    provisioner, spec = outside.provisioner(), replace(outside.spec(), worker_count=3)
    provisioner.provision(spec)
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    (cluster,) = outside.cloud.magnum.all()
    resize(outside, cluster.uuid, workers)
    seen = provisioner.observe(RESERVATION)
    assert seen.state is ClusterState.STARTING, "Magnum is still at it"
    provisioner.provision(spec)
    assert outside.cloud.magnum.all()[0].node_count == workers, "meanwhile it refuses"
    seen = outside.wait_for(provisioner, RESERVATION, ClusterState.LOST)
    assert seen.detail == f"It has {workers} workers instead of 3."
    provisioner.provision(spec)
    assert provisioner.observe(RESERVATION).state is ClusterState.READY
    assert [c.uuid for c in outside.cloud.magnum.all()] == [cluster.uuid]
    assert cluster.node_count == 3
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)


def test_one_that_was_made_for_another_number_of_workers_is_made_anew(outside: MagnumOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(replace(outside.spec(), worker_count=3))
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    provisioner.provision(replace(outside.spec(), worker_count=2))
    assert outside.made(RESERVATION) == 1
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    assert outside.cloud.magnum.all()[-1].node_count == 2


def test_of_two_with_the_same_name_the_first_stays(outside: MagnumOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(outside.spec())
    (first,) = outside.cloud.magnum.all()
    Cloud("service").service("container-infra").post(
        "/clusters", json=first.body, headers={"OpenStack-API-Version": "container-infra 1.10"}
    )
    eventually(lambda: len(outside.cloud.magnum.all()) == 2)
    provisioner.provision(outside.spec())
    assert outside.made(RESERVATION) == 1
    assert first.gone_at is None


def test_clusters_are_found_on_whatever_page_they_are(outside: MagnumOutside) -> None:
    outside.cloud.magnum.page = 2
    provisioner, names = outside.provisioner(), {f"reservation0number{number}" for number in range(4)}
    for name in sorted(names):
        provisioner.provision(outside.spec(name))
        provisioner.provision(outside.spec(name))
    assert provisioner.inventory() == names
    assert len(outside.cloud.magnum.all()) == 4


def resize(outside: MagnumOutside, uuid: str, workers: int) -> None:
    """Somebody else does so."""
    change = [{"op": "replace", "path": "/node_count", "value": workers}]
    Cloud("service").service("container-infra").patch(f"/clusters/{uuid}", json=change)
    eventually(lambda: outside.cloud.magnum.all()[0].node_count == workers)


def test_an_answer_that_was_lost_makes_no_second_cluster(outside: MagnumOutside) -> None:
    provisioner = outside.provisioner()
    outside.cloud.faults.lose("container-infra", "POST", "500")
    with pytest.raises(Unreachable):
        provisioner.provision(outside.spec())
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    provisioner.provision(outside.spec())
    assert outside.made(RESERVATION) == 1


def test_one_that_could_not_be_deleted_is_deleted_again(outside: MagnumOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(outside.spec())
    outside.cloud.magnum.all()[0].failed = "DELETE_FAILED"
    assert provisioner.observe(RESERVATION).state is ClusterState.LOST
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)


def test_another_installation_is_never_touched(outside: MagnumOutside) -> None:
    outside.provisioner(installation="elsewhere").provision(outside.spec())
    ours = outside.provisioner()
    assert ours.observe(RESERVATION).state is ClusterState.ABSENT
    assert ours.inventory() == frozenset()
    ours.teardown(RESERVATION, grace=NO_GRACE)
    assert len(outside.cloud.magnum.all()) == 1


def test_addresses_are_as_magnum_or_the_settings_say(outside: MagnumOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(outside.spec())
    seen = outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    assert [end.url for end in seen.endpoints] == ["http://10.0.0.5:8888/", "https://10.0.0.5:6443"]
    named = outside.provisioner(Templates(TEMPLATE, address="https://{name}.example.org"))
    notebook = named.observe(RESERVATION).endpoints[0].url
    assert notebook == f"https://bk-{RESERVATION}-{fingerprint('here')}.example.org/"
