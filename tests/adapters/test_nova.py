"""Clusters of servers keep the contract of provisioners; what only servers have is told beside it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from booking.adapters.base import (
    ClusterSpec,
    ClusterState,
    Misconfigured,
    NotEnough,
    ProvisionerError,
    Unreachable,
)
from booking.adapters.openstack.flavors import Flavors
from booking.adapters.openstack.naming import fingerprint
from booking.adapters.openstack.nova import Machines, NovaProvisioner
from booking.adapters.openstack.session import Cloud, Deadlines
from tests.adapters.contract import NO_GRACE, RESERVATION, ClockedOutside, Outside, ProvisionerContract
from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.glance import IMAGE
from tests.openstack.fake.servers import Group, Server
from tests.support.doors import TestClock

SECOND = timedelta(seconds=1)
NODE = Machines(IMAGE)


class NovaOutside(ClockedOutside):
    """The fake cloud, whose clock the test moves."""

    def __init__(self, clock: TestClock, cloud: FakeCloud) -> None:
        self.clock, self.cloud = clock, cloud
        self.servers = cloud.servers

    def provisioner(
        self, machines: Machines = NODE, installation: str = "here", name: str = "service"
    ) -> NovaProvisioner:
        cloud = Cloud(name, Deadlines(2, 2, 2))
        flavors = Flavors(cloud, self.clock)
        return NovaProvisioner(
            cloud, machines, flavors, installation=installation, clock=self.clock, key=b"key"
        )

    def half_make(self, reservation_id: str) -> None:
        """The head is there, and its worker never came."""
        spec = replace(self.spec(reservation_id), worker_count=1)
        provisioner = self.provisioner()
        provisioner.provision(spec)
        (worker,) = [server for server in self.servers.all() if server.name.endswith("-w1")]
        worker.gone_at = self.now()
        self.servers.made.clear()

    def made(self, reservation_id: str) -> int:
        alive = [s for s in self.servers.all() if s.gone_at is None]
        return len([s for s in alive if s.name == f"bk-{reservation_id}-head"])


@pytest.fixture
def outside(clock: TestClock, cloud: FakeCloud) -> NovaOutside:
    return NovaOutside(clock, cloud)


class TestNova(ProvisionerContract):
    @pytest.fixture
    def outside(self, outside: NovaOutside) -> Outside:
        return outside


def spec(outside: NovaOutside, workers: int = 2, **more: Any) -> ClusterSpec:
    values = {"worker_count": workers, "worker_cores": 2, "worker_memory_mib": 3000} | more
    return replace(outside.spec(), **values)


def servers(outside: NovaOutside) -> dict[str, Server]:
    return {server.name: server for server in outside.servers.all() if server.gone_at is None}


def groups(outside: NovaOutside) -> list[Group]:
    return outside.servers.groups()


def told(server: Server) -> dict[str, Any]:
    """What the node reads of itself at its first boot."""
    config = yaml.safe_load(base64.b64decode(server.body["user_data"]))
    files = {file["path"]: file["content"] for file in config["write_files"]}
    cluster: dict[str, Any] = json.loads(files["/etc/booking/cluster.json"])
    return cluster


def test_a_cluster_is_a_head_and_workers_of_the_sizes_of_the_package(outside: NovaOutside) -> None:
    outside.provisioner().provision(spec(outside))
    found = servers(outside)
    base = f"bk-{RESERVATION}"
    assert set(found) == {f"{base}-head", f"{base}-w1", f"{base}-w2"}
    flavors = {flavor.id: flavor for flavor in outside.cloud.nova.flavors}
    assert flavors[found[f"{base}-head"].flavor].name == "m1.tiny"
    assert flavors[found[f"{base}-w1"].flavor].name == "m1.small"
    (group,) = groups(outside)
    assert (group.name, group.policies) == (base, ["soft-anti-affinity"])
    assert {server.hints["group"] for server in found.values()} == {group.id}
    assert found[f"{base}-w2"].metadata == {
        "booking_reservation": RESERVATION,
        "booking_role": "worker",
        "booking_installation": fingerprint("here"),
        "booking_nodes": "3",
        "booking_ends_at": spec(outside).ends_at.isoformat(),
    }


def test_every_node_learns_who_it_is_and_when_it_ends(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    wanted = spec(outside, notebook_url="https://example.org/a'b\"$x.ipynb", owner="ann: o'x\n- y")
    provisioner.provision(wanted)
    head, worker = (told(servers(outside)[f"bk-{RESERVATION}-{role}"]) for role in ("head", "w1"))
    assert (head["role"], worker["role"]) == ("head", "worker")
    assert head["token"] == provisioner.credentials(RESERVATION)["notebook"]
    assert (head["notebook_url"], head["owner"]) == (wanted.notebook_url, wanted.owner)
    assert worker["head"] == f"bk-{RESERVATION}-head"
    assert datetime.fromisoformat(worker["ends_at"]) == wanted.ends_at


def test_in_a_pledge_servers_have_its_flavors_or_its_hint(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    outside.servers.active = lambda: ["rid"]
    provisioner.provision(spec(outside, binding={"reservation": "rid"}))
    assert {server.hints["reservation"] for server in servers(outside).values()} == {"rid"}
    provisioner.teardown(RESERVATION, grace=NO_GRACE)
    outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
    binding = {"head_flavor": "3", "worker_flavor": "2"}
    provisioner.provision(spec(outside, binding=binding))
    assert [server.flavor for server in servers(outside).values()] == ["3", "2", "2"]


def test_what_cannot_be_made_whole_leaves_nothing(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    outside.servers.most = 2
    with pytest.raises(NotEnough, match="quota of the project"):
        provisioner.provision(spec(outside))
    outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)
    assert groups(outside) == []
    with pytest.raises(ProvisionerError) as refused:
        outside.provisioner(Machines("no such image")).provision(spec(outside))
    assert not refused.value.transient
    with pytest.raises(Misconfigured, match="no public flavor of 64 cores"):
        provisioner.provision(spec(outside, worker_cores=64))
    outside.wait_for(provisioner, RESERVATION, ClusterState.ABSENT)


def test_a_server_that_found_no_host_is_told_and_made_again(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    wanted = spec(outside, binding={"reservation": "not active yet"})
    provisioner.provision(wanted)
    seen = provisioner.observe(RESERVATION)
    assert seen.state is ClusterState.LOST
    assert "No valid host was found." in seen.detail
    outside.servers.active = lambda: ["not active yet"]
    provisioner.provision(wanted)
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    assert len(servers(outside)) == 3


@pytest.mark.parametrize("lost", range(3))
def test_killed_between_any_two_servers_it_is_made_whole_and_once(outside: NovaOutside, lost: int) -> None:
    """The answer of one create is lost: what was made is found by its name."""
    provisioner, wanted = outside.provisioner(Machines(IMAGE, spread="")), spec(outside)
    for _ in range(lost + 1):
        outside.cloud.faults.lose("compute", "POST", "500")
        with pytest.raises(Unreachable):
            provisioner.provision(wanted)
    provisioner.provision(wanted)
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    assert sorted(outside.servers.made) == sorted(servers(outside))


def test_of_servers_with_one_name_the_oldest_stays(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(spec(outside, workers=0))
    (first,) = outside.servers.all()
    outside.clock.advance(SECOND)
    outside.servers.all()
    second = replace(first, id="another", made_at=outside.now())
    outside.servers._servers.append(second)
    provisioner.provision(spec(outside, workers=0))
    assert [server.id for server in outside.servers.all() if server.gone_at is None] == [first.id]


def test_an_extension_is_told_to_every_node(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(spec(outside))
    later = outside.now() + timedelta(hours=9)
    provisioner.extend(RESERVATION, later)
    told_ends = {server.metadata["booking_ends_at"] for server in servers(outside).values()}
    assert told_ends == {later.isoformat()}


def test_while_a_server_is_being_built_its_new_end_waits(
    outside: NovaOutside, monkeypatch: pytest.MonkeyPatch
) -> None:
    provisioner, later = outside.provisioner(), outside.now() + timedelta(hours=9)
    provisioner.provision(spec(outside, workers=0))
    outside.servers.is_strict = True
    monkeypatch.setattr("booking.adapters.openstack.nova._PAUSES", (0.0,))
    with pytest.raises(ProvisionerError, match="still at work on it") as refused:
        provisioner.extend(RESERVATION, later)
    assert refused.value.transient
    assert outside.servers.refused == 2
    monkeypatch.setattr(
        "booking.adapters.openstack.nova.time.sleep", lambda _: outside.clock.advance(2 * SECOND)
    )
    provisioner.extend(RESERVATION, later)
    assert servers(outside)[f"bk-{RESERVATION}-head"].metadata["booking_ends_at"] == later.isoformat()


def test_what_another_installation_made_is_never_touched(outside: NovaOutside) -> None:
    other = outside.provisioner(installation="elsewhere")
    other.provision(spec(outside))
    ours = outside.provisioner()
    assert ours.observe(RESERVATION).state is ClusterState.ABSENT
    assert ours.inventory() == frozenset()
    ours.teardown(RESERVATION, grace=NO_GRACE)
    assert len(servers(outside)) == 3
    assert other.inventory() == {RESERVATION}


def test_a_server_that_stopped_makes_the_cluster_lost(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    provisioner.provision(spec(outside))
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    servers(outside)[f"bk-{RESERVATION}-w1"].status = "SHUTOFF"
    assert provisioner.observe(RESERVATION).state is ClusterState.LOST


def test_tokens_are_told_without_a_question(outside: NovaOutside) -> None:
    provisioner = outside.provisioner()
    tokens = provisioner.tokens(RESERVATION)
    assert outside.cloud.requests == []
    provisioner.provision(spec(outside))
    assert provisioner.credentials(RESERVATION) == tokens
    assert tokens != outside.provisioner().tokens("another0reservation")


def test_addresses_are_as_the_settings_say(outside: NovaOutside) -> None:
    machines = Machines(IMAGE, address="https://{name}.example.org", engine="spark")
    provisioner = outside.provisioner(machines)
    provisioner.provision(spec(outside))
    seen = outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    assert [(end.name, end.url) for end in seen.endpoints] == [
        ("notebook", f"https://bk-{RESERVATION}-head.example.org/"),
        ("scheduler", f"spark://bk-{RESERVATION}-head:7077"),
    ]


def test_a_notebook_that_does_not_answer_is_waited_for(outside: NovaOutside) -> None:
    gone = outside.cloud.keystone.address.rpartition(":")[0] + ":9"
    provisioner = outside.provisioner(Machines(IMAGE, address=gone, probe=True))
    provisioner.provision(spec(outside))
    outside.clock.advance(10 * SECOND)
    assert provisioner.observe(RESERVATION).state is ClusterState.STARTING


def test_many_servers_come_in_pages(outside: NovaOutside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("booking.adapters.openstack.servers._LARGEST_PAGE", 2)
    provisioner = outside.provisioner()
    provisioner.provision(spec(outside, workers=4))
    outside.wait_for(provisioner, RESERVATION, ClusterState.READY)
    assert len(servers(outside)) == 5


def test_a_cloud_that_is_away_or_lets_nobody_in_is_told_so(outside: NovaOutside) -> None:
    with pytest.raises(Misconfigured):
        outside.provisioner(name="stranger").observe(RESERVATION)
    with pytest.raises(Misconfigured):
        outside.provisioner(name="of no file").observe(RESERVATION)
    outside.cloud.faults.lose("compute", "GET")
    with pytest.raises(Unreachable):
        outside.provisioner().observe(RESERVATION)
