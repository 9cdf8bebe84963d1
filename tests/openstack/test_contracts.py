"""Real services keep the contracts of pledges and of provisioners, as the fake cloud does.

What cannot be brought about at will on real services (a lease in ERROR, a host that fails, an answer that is
lost, a minute that passes at once) is shown on the fake alone; those tests are named, not skipped. Each takes some
seconds here, so that a usual run is shortened to a few; `BOOKING_TEST_OPENSTACK_ALL=1` runs all of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from booking.adapters.base import (
    ClusterSpec,
    ClusterState,
    NotEnough,
    Observed,
    Pledged,
    Pledges,
    PledgeState,
    Provisioner,
    Stranger,
)
from booking.adapters.openstack.blazar import BlazarPledges
from booking.adapters.openstack.clusters import Clusters
from booking.adapters.openstack.flavors import Flavors
from booking.adapters.openstack.leases import Leases
from booking.adapters.openstack.magnum import MagnumProvisioner, Templates
from booking.adapters.openstack.naming import fingerprint
from booking.adapters.openstack.nova import Machines, NovaProvisioner
from booking.adapters.openstack.session import Cloud as Session
from booking.adapters.openstack.shapes import InstanceLeases
from booking.doors import SystemClock
from tests.adapters.contract import NO_GRACE, Outside, ProvisionerContract
from tests.adapters.contract import RESERVATION as CLUSTER
from tests.adapters.pledging import ABSENT, HOUR, RESERVATION, Platform, PledgesContract
from tests.openstack.rig import catalog
from tests.openstack.rig.cloud import Cloud

CLOCK = SystemClock()
SECONDS = 240


class RealPlatform(Platform):
    """Blazar of the rig, with leases of instances."""

    ahead = 2 * HOUR

    def pledges(self, installation: str = "ours") -> BlazarPledges:
        return BlazarPledges(Session("service"), InstanceLeases(1), installation=installation, clock=CLOCK)

    def now(self) -> datetime:
        return CLOCK.now()

    def wait_for(self, pledges: Pledges, reservation_id: str, state: PledgeState) -> Pledged:
        ends = time.monotonic() + SECONDS
        while (seen := pledges.look().get(reservation_id, ABSENT)).state is not state:
            assert time.monotonic() < ends, f"never {state}, at last {seen}"
            time.sleep(1)
        return seen

    def made(self, reservation_id: str) -> int:
        named = f"bk-{reservation_id}-"
        return len([lease for lease in Leases(Session("admin")).all() if lease.name.startswith(named)])

    def spec(self, reservation_id: str = RESERVATION, **values: Any) -> ClusterSpec:
        whole = {
            name: at.replace(second=0, microsecond=0)
            for name, at in values.items()
            if isinstance(at, datetime)
        }
        return super().spec(reservation_id, **(values | whole))

    def too_large(self, spec: ClusterSpec) -> ClusterSpec:
        return replace(spec, worker_count=300)

    def remove(self, reference: str) -> None:
        Leases(Session("admin")).delete(reference)

    def reserve(self, starts_at: datetime, ends_at: datetime) -> Stranger:
        part = InstanceLeases(1).shape(self.spec(worker_count=0)).parts[0]
        start = f"{starts_at:%Y-%m-%d %H:%M}"
        made = Leases(Session("tenant")).create("somebody else's", start, ends_at, [part.asked])
        cores, memory_mib = part.amount * part.size.cores, part.amount * part.size.memory_mib
        return Stranger(made.id, starts_at, ends_at, cores, memory_mib, made.owner, made.name)

    def copy(self, reference: str) -> str:
        # Blazar tells when a lease was made to the second.
        time.sleep(1.1)
        leases = Leases(Session("service"))
        old, shape = leases.one(reference), InstanceLeases(1).shape(self.spec())
        start = f"{old.starts_at:%Y-%m-%d %H:%M}"
        return leases.create(old.name, start, old.ends_at, [part.asked for part in shape.parts]).id


class TestBlazar(PledgesContract):
    SHORTENED: ClassVar[frozenset[str]] = frozenset(
        {
            "test_what_is_pledged_is_seen_with_its_dates_and_revision",
            "test_pledging_twice_sets_aside_once",
            "test_two_services_that_pledge_at_once_set_aside_once",
            "test_a_changed_size_is_changed_or_refused_whole",
            "test_what_is_released_is_gone_and_may_be_released_again",
            "test_of_several_the_oldest_is_kept",
            "test_those_of_another_installation_are_strangers",
            "test_what_others_have_is_told_from_now_on_and_ours_is_not",
            "test_machines_go_where_there_is_room_and_what_has_none_is_given_back",
        }
    )
    test_what_was_made_without_an_answer_is_adopted: ClassVar[None] = None  # type: ignore[assignment]
    test_one_that_lacks_hosts_is_broken: ClassVar[None] = None  # type: ignore[assignment]
    test_one_that_failed_is_broken_and_made_again: ClassVar[None] = None  # type: ignore[assignment]
    test_one_whose_time_has_passed_is_over_until_it_is_released: ClassVar[None] = None  # type: ignore[assignment]
    test_a_platform_that_is_down_is_a_transient_error_in_time: ClassVar[None] = None  # type: ignore[assignment]
    test_who_is_not_let_in_is_misconfigured: ClassVar[None] = None  # type: ignore[assignment]

    def test_what_others_have_is_told_from_now_on_and_ours_is_not(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        """Who is no administrator may not read others' leases: the hosts that they touch count as taken whole."""
        pledges.pledge(platform.spec())
        assert pledges.strangers() == ()
        start = platform.spec().starts_at + 10 * HOUR
        reserved = platform.reserve(start, start + HOUR)
        assert pledges.strangers() == (replace(reserved, cores=64, memory_mib=262144, owner="", name=""),)
        platform.remove(reserved.reference)
        assert pledges.strangers() == ()

    def test_machines_go_where_there_is_room_and_what_has_none_is_given_back(
        self, pledges: Pledges, platform: Platform, cloud: Cloud
    ) -> None:
        """Blazar 18 counts a reservation of machines once on a host, and would grant each of these on the first."""
        for number in range(cloud.reservable_hosts):
            spec = platform.spec(f"pledge0number{number}", worker_count=7)
            assert pledges.pledge(spec).state is PledgeState.PENDING
            assert max(self.cores_on_hosts().values()) <= 64
        before = self.cores_on_hosts()
        assert sum(before.values()) == cloud.reservable_hosts * 57
        with pytest.raises(NotEnough):
            pledges.pledge(platform.spec(worker_count=7))
        assert platform.made(RESERVATION) == 0
        assert self.cores_on_hosts() == before

    @staticmethod
    def cores_on_hosts() -> dict[str, int]:
        """Machine by machine; no two of these leases are at different times."""
        leases, cores = Leases(Session("admin")), Counter[str]()
        sizes = {part["id"]: int(part["vcpus"]) for lease in leases.all() for part in lease.reservations}
        for entry in leases.taken():
            cores[entry.host_id] += sizes[entry.reservation_id]
        return dict(cores)

    @pytest.fixture
    def platform(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_file))
        yield RealPlatform()
        leases = Leases(Session("admin"))
        for lease in leases.all():
            leases.delete(lease.id)


class RealOutside(Outside):
    """The rig, whose clock is the machine's."""

    def now(self) -> datetime:
        return CLOCK.now()

    def wait_for(self, provisioner: Provisioner, reservation_id: str, state: ClusterState) -> Observed:
        ends = time.monotonic() + SECONDS
        while (seen := provisioner.observe(reservation_id)).state is not state:
            assert time.monotonic() < ends, f"never {state}, at last {seen}"
            time.sleep(0.5)
        return seen


class RealNova(RealOutside):
    def __init__(self, image: str) -> None:
        self._image = image

    def provisioner(self) -> NovaProvisioner:
        session = Session("service")
        return NovaProvisioner(
            session,
            Machines(self._image),
            Flavors(session, CLOCK),
            installation="contract",
            clock=CLOCK,
            key=b"key",
        )

    def half_make(self, reservation_id: str) -> None:
        """The head is there, and its worker never came."""
        provisioner = self.provisioner()
        provisioner.provision(replace(self.spec(reservation_id), worker_count=1))
        self.wait_for(provisioner, reservation_id, ClusterState.READY)
        (worker,) = provisioner._servers.named(f"^bk-{reservation_id}-w1")
        provisioner._servers.delete(worker.id)
        ends = time.monotonic() + SECONDS
        while provisioner._servers.named(f"^bk-{reservation_id}-w1"):
            assert time.monotonic() < ends
            time.sleep(0.5)

    def made(self, reservation_id: str) -> int:
        found = self.provisioner()._servers.named(f"^bk-{reservation_id}-head")
        return len([server for server in found if not server.is_going])


class TestNova(ProvisionerContract):
    SHORTENED: ClassVar[frozenset[str]] = frozenset(
        {
            "test_provisioning_twice_makes_one_cluster",
            "test_a_half_made_cluster_is_lost_and_cleaned_away",
            "test_a_half_made_cluster_is_made_whole_by_provisioning_again",
            "test_a_new_service_finds_extends_and_ends_what_another_made",
            "test_a_cluster_ends_at_its_deadline_by_itself",
        }
    )

    @pytest.fixture
    def outside(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Outside]:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_file))
        with cloud.connection("service") as connection:
            image = connection.image.find_image(catalog.IMAGE, ignore_missing=False).id
        outside = RealNova(image)
        yield outside
        provisioner = outside.provisioner()
        for server in provisioner._servers.named("^bk-"):
            provisioner._servers.delete(server.id)
        ends = time.monotonic() + SECONDS
        while provisioner._servers.named("^bk-"):
            assert time.monotonic() < ends
            time.sleep(0.5)
        assert provisioner.observe(CLUSTER).state is ClusterState.ABSENT


class RealMagnum(RealOutside):
    """Magnum of the rig; its driver is ours, for Magnum comes without any."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.clusters = Clusters(Session("service"))

    def provisioner(self) -> MagnumProvisioner:
        return MagnumProvisioner(
            Session("service"),
            Templates(catalog.TEMPLATE),
            self._home,
            installation="contract",
            clock=CLOCK,
            key=b"key",
        )

    def half_make(self, reservation_id: str) -> None:
        """Magnum tried, and could not."""
        values = {"cluster_template_id": catalog.TEMPLATE, "node_count": 0, "labels": {"rig_fail": "create"}}
        self.clusters.create(self.name(reservation_id), values)
        self.wait_for(self.provisioner(), reservation_id, ClusterState.LOST)

    def made(self, reservation_id: str) -> int:
        return len([one for one in self.clusters.named(self.name(reservation_id)) if not one.is_going])

    @staticmethod
    def name(reservation_id: str) -> str:
        return f"bk-{reservation_id}-{fingerprint('contract')}"


class TestMagnum(ProvisionerContract):
    SHORTENED: ClassVar[frozenset[str]] = frozenset(
        {
            "test_provisioning_twice_makes_one_cluster",
            "test_a_half_made_cluster_is_lost_and_cleaned_away",
            "test_a_half_made_cluster_is_made_whole_by_provisioning_again",
            "test_a_new_service_finds_extends_and_ends_what_another_made",
            "test_one_whose_workers_somebody_changed_is_resized",
            "test_of_two_with_the_same_name_the_first_stays",
        }
    )

    @pytest.fixture
    def outside(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RealMagnum]:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_file))
        outside = RealMagnum(tmp_path / "deadlines")
        yield outside
        ends = time.monotonic() + SECONDS
        while left := outside.clusters.all():
            outside.clusters.delete([one.uuid for one in left if not one.is_going])
            assert time.monotonic() < ends
            time.sleep(0.5)

    def test_one_whose_workers_somebody_changed_is_resized(
        self, cloud: Cloud, outside: RealMagnum, provisioner: Provisioner
    ) -> None:
        """Made by the template of its package, seen, changed behind our back, repaired, and gone without a rest."""
        spec = replace(outside.spec(), worker_count=1)
        provisioner.provision(spec)
        outside.wait_for(provisioner, CLUSTER, ClusterState.READY)
        (before,) = outside.clusters.named(outside.name(CLUSTER))
        for workers in (2, 0):
            outside.clusters.resize(before.uuid, workers)
            seen = outside.wait_for(provisioner, CLUSTER, ClusterState.LOST)
            assert seen.detail == f"It has {workers} workers instead of 1."
            provisioner.provision(spec)
            assert provisioner.observe(CLUSTER).state is ClusterState.READY
            self.eventually(
                lambda: outside.clusters.named(outside.name(CLUSTER))[0].status, "UPDATE_COMPLETE"
            )
            (after,) = outside.clusters.named(outside.name(CLUSTER))
            assert (after.uuid, after.workers) == (before.uuid, 1)
            with cloud.connection("service") as connection:
                self.eventually(lambda: len(list(connection.compute.servers())), 2)
        provisioner.teardown(CLUSTER, grace=NO_GRACE)
        outside.wait_for(provisioner, CLUSTER, ClusterState.ABSENT)
        with cloud.connection("service") as connection:
            self.eventually(lambda: len(list(connection.compute.servers())), 0)

    def test_of_two_with_the_same_name_the_first_stays(
        self, outside: RealMagnum, provisioner: Provisioner
    ) -> None:
        provisioner.provision(outside.spec())
        (first,) = outside.clusters.named(outside.name(CLUSTER))
        outside.clusters.create(first.name, {"cluster_template_id": catalog.TEMPLATE, "node_count": 1})
        self.eventually(lambda: outside.made(CLUSTER), 2)
        provisioner.provision(outside.spec())
        assert outside.made(CLUSTER) == 1
        assert first.uuid in {one.uuid for one in outside.clusters.all() if not one.is_going}

    @staticmethod
    def eventually(look: Callable[[], object], wanted: object) -> None:
        ends = time.monotonic() + SECONDS
        while (seen := look()) != wanted:
            assert time.monotonic() < ends, f"never {wanted}, at last {seen}"
            time.sleep(0.5)
