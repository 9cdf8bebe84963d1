"""The fake cloud as a platform of the contract of pledges, for each kind of lease."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from booking.adapters.base import ClusterSpec, Pledged, Pledges, PledgeState, Stranger
from booking.adapters.openstack.blazar import BlazarPledges
from booking.adapters.openstack.flavors import FlavorLeases
from booking.adapters.openstack.leases import Leases
from booking.adapters.openstack.session import Cloud, Deadlines
from booking.adapters.openstack.shapes import HostLeases, InstanceLeases, Kind
from tests.adapters.pledging import ABSENT, Platform
from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.leases import Lease
from tests.support.doors import TestClock

HOST_CORES, HOST_MEMORY_MIB = 16, 64 * 1024
STEP = timedelta(seconds=5)
STEPS = 200
IMPATIENT = Deadlines(write=0.5)
KindOf = Callable[[Cloud, TestClock], Kind]


def hosts(_cloud: Cloud, _clock: TestClock) -> Kind:
    return HostLeases(HOST_CORES, HOST_MEMORY_MIB)


def instances(_cloud: Cloud, _clock: TestClock) -> Kind:
    return InstanceLeases(disk_gib=20)


def flavors(cloud: Cloud, clock: TestClock) -> Kind:
    return FlavorLeases(cloud, clock)


class FakePlatform(Platform):
    """A cloud of its own for a test, whose clock the test moves."""

    def __init__(self, cloud: FakeCloud, clock: TestClock, kind: KindOf) -> None:
        self.cloud, self.clock, self._kind = cloud, clock, kind

    def pledges(self, installation: str = "ours") -> BlazarPledges:
        return self.of(Cloud("service"), installation)

    def of(self, cloud: Cloud, installation: str = "ours") -> BlazarPledges:
        kind = self._kind(cloud, self.clock)
        return BlazarPledges(cloud, kind, installation=installation, clock=self.clock, poll_seconds=0.005)

    def now(self) -> datetime:
        return self.clock.now()

    def wait_for(self, pledges: Pledges, reservation_id: str, state: PledgeState) -> Pledged:
        for _ in range(STEPS):
            seen = pledges.look().get(reservation_id, ABSENT)
            if seen.state is state:
                return seen
            self.clock.advance(STEP)
        raise AssertionError(f"never {state}, at last {seen}")

    def made(self, reservation_id: str) -> int:
        return len(self.cloud.blazar.named(f"bk-{reservation_id}-"))

    def too_large(self, spec: ClusterSpec) -> ClusterSpec:
        return replace(spec, worker_count=50)

    def remove(self, reference: str) -> None:
        Leases(Cloud("admin")).delete(reference)

    def reserve(self, starts_at: datetime, ends_at: datetime) -> Stranger:
        cloud = Cloud("tenant")
        part = self._kind(cloud, self.clock).shape(self.spec(worker_count=0)).parts[0]
        start = f"{starts_at:%Y-%m-%d %H:%M}"
        made = Leases(cloud).create("somebody else's", start, ends_at, [part.asked])
        cores, memory_mib = part.amount * part.size.cores, part.amount * part.size.memory_mib
        return Stranger(made.id, starts_at, ends_at, cores, memory_mib, made.owner, made.name)

    def pledges_that_lose_an_answer(self) -> Pledges:
        self.cloud.faults.lose("reservation", "POST")
        return self.of(Cloud("service", IMPATIENT))

    def copy(self, reference: str) -> str:
        twin = copy.deepcopy(self.cloud.blazar.leases[reference])
        twin.id = str(uuid4())
        twin.created_at += timedelta(seconds=1)
        for reservation in twin.reservations:
            reservation.id = str(uuid4())
            # Blazar gave the copy hosts of its own.
            reservation.hosts = []
        self.cloud.blazar.leases[twin.id] = twin
        return twin.id

    def fail(self, reference: str) -> None:
        self.cloud.blazar.fail(self.lease(reference))

    def degrade(self, reference: str) -> None:
        self.cloud.blazar.degrade(self.lease(reference))

    def lease(self, reference: str) -> Lease:
        return self.cloud.blazar.leases[reference]

    @contextmanager
    def is_down(self) -> Iterator[None]:
        self.cloud.faults.is_manager_down = True
        try:
            yield
        finally:
            self.cloud.faults.is_manager_down = False

    def pledges_of_nobody(self) -> Pledges:
        return self.of(Cloud("stranger"))
