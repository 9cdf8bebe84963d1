"""Blazar keeps the contract of pledges with each kind of lease, and the adapter knows its oddities."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from booking.adapters.base import Misconfigured, NotEnough, PledgeState, ProvisionerError
from booking.adapters.openstack.blazar import BlazarPledges
from booking.adapters.openstack.flavors import KEPT, FlavorLeases
from booking.adapters.openstack.leases import Leases
from booking.adapters.openstack.session import Cloud, Deadlines
from booking.adapters.openstack.shapes import HostLeases, InstanceLeases, Kind, Size
from tests.adapters.blazar import HOST_CORES, HOST_MEMORY_MIB, FakePlatform, KindOf, flavors, hosts, instances
from tests.adapters.pledging import HOUR, OTHER, RESERVATION, Platform, PledgesContract
from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.keystone import USERS
from tests.openstack.fake.leases import Lease
from tests.openstack.fake.picking import refused
from tests.support.doors import TestClock

SECOND = timedelta(seconds=1)
GIB = 1024


class OnFake(PledgesContract):
    """The contract on the fake cloud; a subclass says with which leases."""

    kind: KindOf

    @pytest.fixture
    def platform(self, cloud: FakeCloud, clock: TestClock) -> Platform:
        return FakePlatform(cloud, clock, type(self).kind)


class TestHosts(OnFake):
    kind = staticmethod(hosts)


class TestInstances(OnFake):
    kind = staticmethod(instances)


class TestInstancesOfOneThatGrantsTooMuch(OnFake):
    """As the real one is."""

    kind = staticmethod(instances)

    @pytest.fixture
    def platform(self, cloud: FakeCloud, clock: TestClock) -> Platform:
        cloud.blazar.be_lax()
        return FakePlatform(cloud, clock, instances)


class TestFlavors(OnFake):
    kind = staticmethod(flavors)


@pytest.fixture
def on_hosts(cloud: FakeCloud, clock: TestClock) -> FakePlatform:
    return FakePlatform(cloud, clock, hosts)


@pytest.fixture
def on_instances(cloud: FakeCloud, clock: TestClock) -> FakePlatform:
    return FakePlatform(cloud, clock, instances)


@pytest.fixture
def on_flavors(cloud: FakeCloud, clock: TestClock) -> FakePlatform:
    return FakePlatform(cloud, clock, flavors)


def pledges_on(platform: FakePlatform, kind: Kind) -> BlazarPledges:
    return BlazarPledges(Cloud("service"), kind, installation="ours", clock=platform.clock, poll_seconds=0)


def test_looking_is_one_question_whatever_there_is(on_instances: FakePlatform) -> None:
    pledges = on_instances.pledges()
    for name in (RESERVATION, OTHER):
        pledges.pledge(on_instances.spec(name))
    on_instances.cloud.requests.clear()
    assert len(pledges.look()) == 2
    assert on_instances.cloud.requests == [("reservation", "GET", "/leases")]


def test_the_name_of_a_lease_is_found_again_and_short_enough(on_instances: FakePlatform) -> None:
    long = "a" * 40
    on_instances.pledges().pledge(on_instances.spec(long, revision=999_999_999))
    (lease,) = on_instances.cloud.blazar.named("bk-")
    assert len(lease.name) <= 80
    assert on_instances.pledges().look()[long].revision == 999_999_999


def test_a_stopped_manager_costs_no_second_lease_when_it_is_back(on_hosts: FakePlatform) -> None:
    on_hosts.cloud.faults.lose("reservation", "POST", "500")
    assert on_hosts.pledges().pledge(on_hosts.spec()).state is PledgeState.PENDING
    assert on_hosts.made(RESERVATION) == 1
    assert [r[:2] for r in on_hosts.cloud.requests].count(("reservation", "POST")) == 1


@pytest.mark.parametrize("how", ["500", "silence"])
def test_a_change_whose_answer_is_lost_is_looked_for(on_hosts: FakePlatform, how: str) -> None:
    pledges = on_hosts.of(Cloud("service", Deadlines(write=0.5)))
    spec = on_hosts.spec()
    pledges.pledge(spec)
    on_hosts.cloud.faults.lose("reservation", "PUT", "500" if how == "500" else "silence")
    seen = pledges.pledge(replace(spec, ends_at=spec.ends_at + HOUR, revision=2))
    assert (seen.ends_at, seen.revision) == (spec.ends_at + HOUR, 2)


def test_a_deletion_whose_answer_is_lost_is_done(on_hosts: FakePlatform) -> None:
    pledges = on_hosts.pledges()
    pledges.pledge(on_hosts.spec())
    on_hosts.cloud.faults.lose("reservation", "DELETE", "500")
    pledges.release(RESERVATION)
    assert on_hosts.made(RESERVATION) == 0


def test_what_blazar_gives_twice_is_given_back(on_hosts: FakePlatform) -> None:
    cloud, spec = on_hosts.cloud, on_hosts.spec()
    cloud.blazar.pause = 0.4
    with ThreadPoolExecutor(2) as pool:
        stranger = pool.submit(on_hosts.reserve, spec.starts_at, spec.ends_at)
        wait_for_post(cloud)
        with pytest.raises(NotEnough):
            on_hosts.pledges().pledge(spec)
        assert stranger.result().cores == HOST_CORES
    assert on_hosts.made(RESERVATION) == 0
    cloud.blazar.pause = 0
    assert on_hosts.pledges().pledge(spec).state is PledgeState.PENDING


def wait_for_post(cloud: FakeCloud) -> None:
    for _ in range(500):
        if ("reservation", "POST", "/leases") in cloud.requests:
            return
        time.sleep(0.01)
    raise AssertionError("nobody reserved anything")


def test_without_a_lock_the_fake_gives_the_same_hosts_twice(on_hosts: FakePlatform) -> None:
    """The trap itself; were it gone, the test above would prove nothing."""
    on_hosts.cloud.blazar.pause = 0.3
    start = on_hosts.spec().starts_at
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: on_hosts.reserve(start, start + HOUR), range(2)))
    first, second = on_hosts.cloud.blazar.named("somebody")
    assert first.reservations[0].hosts == second.reservations[0].hosts


def test_writes_to_one_cloud_wait_for_each_other(on_hosts: FakePlatform) -> None:
    on_hosts.cloud.blazar.pause = 0.1
    with ThreadPoolExecutor(2) as pool:
        made = list(
            pool.map(
                lambda name: on_hosts.pledges().pledge(on_hosts.spec(name, worker_count=0)),
                (RESERVATION, OTHER),
            )
        )
    assert {pledged.state for pledged in made} == {PledgeState.PENDING}


@pytest.mark.parametrize("kind", [hosts, flavors])
def test_fewer_than_asked_for_are_given_back(
    cloud: FakeCloud, clock: TestClock, monkeypatch: pytest.MonkeyPatch, kind: KindOf
) -> None:
    platform, picker = FakePlatform(cloud, clock, kind), cloud.blazar._picker
    pick = picker.pick
    monkeypatch.setattr(picker, "pick", lambda *args: pick(*args)[:1])
    with pytest.raises(NotEnough):
        platform.pledges().pledge(platform.spec(worker_count=4))
    assert platform.made(RESERVATION) == 0


def test_who_may_not_count_hosts_keeps_none(on_hosts: FakePlatform) -> None:
    with pytest.raises(Misconfigured):
        on_hosts.of(Cloud("tenant")).pledge(on_hosts.spec())
    assert on_hosts.made(RESERVATION) == 0


def test_a_change_at_work_is_told_as_changing(on_hosts: FakePlatform) -> None:
    pledges, spec = on_hosts.pledges(), on_hosts.spec()
    made = pledges.pledge(spec)
    on_hosts.lease(made.reference).status = "UPDATING"
    seen = pledges.pledge(replace(spec, ends_at=spec.ends_at + HOUR, revision=2))
    assert (seen.state, seen.ends_at, seen.revision) == (PledgeState.CHANGING, spec.ends_at, 1)


@pytest.mark.parametrize("status", ["CREATING", "STARTING", "TERMINATING", "DELETING", "UPDATING"])
def test_whatever_is_not_stable_is_changing(on_hosts: FakePlatform, status: str) -> None:
    pledges = on_hosts.pledges()
    on_hosts.lease(pledges.pledge(on_hosts.spec()).reference).status = status
    assert pledges.look()[RESERVATION].state is PledgeState.CHANGING


def test_half_made_leases_are_looked_at_without_harm(on_instances: FakePlatform) -> None:
    pledges = on_instances.pledges()
    lease = on_instances.lease(pledges.pledge(on_instances.spec()).reference)
    lease.status = "CREATING"
    lease.reservations[0].values.clear()
    assert pledges.look()[RESERVATION].state is PledgeState.CHANGING
    assert pledges.pledge(on_instances.spec()).state is PledgeState.CHANGING
    assert on_instances.made(RESERVATION) == 1


def test_what_blazar_is_at_work_on_is_released_later(on_hosts: FakePlatform) -> None:
    pledges = on_hosts.pledges()
    lease = on_hosts.lease(pledges.pledge(on_hosts.spec()).reference)
    lease.status = "TERMINATING"
    with pytest.raises(ProvisionerError) as failed:
        pledges.release(RESERVATION)
    assert failed.value.transient
    lease.status = "ACTIVE"
    pledges.release(RESERVATION)
    assert on_hosts.made(RESERVATION) == 0


@pytest.mark.parametrize(
    "head, worker, count",
    [
        ((1, 1), (4, 8), 1),
        ((8, 16), (4, 8), 1),
        ((2, 8), (4, 8), 1),
        ((1, 1), (4, 8), 3),
        ((4, 8), (4, 8), 2),
    ],
    ids=str,
)
def test_head_and_workers_are_told_apart_whatever_order_blazar_lists_them_in(
    on_instances: FakePlatform, head: tuple[int, int], worker: tuple[int, int], count: int
) -> None:
    spec = on_instances.spec(
        notebook_cores=head[0],
        notebook_memory_mib=head[1] * GIB,
        worker_cores=worker[0],
        worker_memory_mib=worker[1] * GIB,
        worker_count=count,
    )
    pledges = on_instances.pledges()
    made = pledges.pledge(spec)
    sizes = {r.id: r.values for r in on_instances.lease(made.reference).reservations}
    assert len(sizes) == (1 if head == worker else 2)
    for _ in range(10):
        binding = pledges.look()[RESERVATION].binding
        for role, (cores, memory) in {"head_flavor": head, "worker_flavor": worker}.items():
            values = sizes[binding[role]]
            assert (values["vcpus"], values["memory_mb"]) == (cores, memory * GIB)


def test_whole_hosts_are_bound_by_their_reservation(on_hosts: FakePlatform) -> None:
    made = on_hosts.pledges().pledge(on_hosts.spec())
    (reservation,) = on_hosts.lease(made.reference).reservations
    assert made.binding == {"reservation": reservation.id}
    assert (reservation.values["min"], reservation.values["max"]) == (2, 2)


def test_more_workers_come_to_an_active_lease_and_none_is_taken_from_it(on_instances: FakePlatform) -> None:
    pledges = on_instances.pledges()
    spec = on_instances.spec(starts_at=on_instances.now(), worker_count=1)
    pledges.pledge(spec)
    on_instances.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)
    more = replace(spec, worker_count=2, revision=2)
    assert pledges.pledge(more).revision == 2
    for fewer in (spec, replace(spec, worker_count=0), replace(spec, worker_cores=4)):
        with pytest.raises(ProvisionerError) as refused:
            pledges.pledge(replace(fewer, revision=3))
        assert not refused.value.transient
    seen = pledges.look()[RESERVATION]
    assert (seen.state, seen.revision) == (PledgeState.ACTIVE, 2)


def test_the_start_of_what_has_begun_is_not_moved(on_hosts: FakePlatform) -> None:
    pledges = on_hosts.pledges()
    spec = on_hosts.spec(starts_at=on_hosts.now())
    pledges.pledge(spec)
    on_hosts.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)
    with pytest.raises(ProvisionerError) as refused:
        pledges.pledge(replace(spec, starts_at=on_hosts.now() + HOUR / 2))
    assert not refused.value.transient


def test_one_whose_start_is_brought_forward_begins_now(on_hosts: FakePlatform) -> None:
    pledges, spec = on_hosts.pledges(), on_hosts.spec()
    pledges.pledge(spec)
    seen = pledges.pledge(replace(spec, starts_at=on_hosts.now() - HOUR, revision=2))
    assert seen.starts_at == on_hosts.now()
    on_hosts.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)


def test_another_size_of_machines_takes_another_lease_and_the_first_is_deleted_last(
    on_instances: FakePlatform,
) -> None:
    pledges, spec = on_instances.pledges(), on_instances.spec()
    first = pledges.pledge(spec)
    larger = replace(spec, worker_memory_mib=32 * GIB, revision=2)
    second = pledges.pledge(larger)
    assert second.reference != first.reference
    assert on_instances.made(RESERVATION) == 1
    with pytest.raises(NotEnough):
        pledges.pledge(on_instances.too_large(replace(larger, worker_memory_mib=24 * GIB, revision=3)))
    assert pledges.look()[RESERVATION] == second


def test_machines_that_wait_are_not_taken_away_in_place(on_instances: FakePlatform) -> None:
    """Blazar breaks a lease that loses two places on one host; what it has no room for beside stays."""
    pledges, spec = on_instances.pledges(), on_instances.spec(worker_count=7)
    made = pledges.pledge(spec)
    on_instances.cloud.requests.clear()
    with pytest.raises(NotEnough):
        pledges.pledge(replace(spec, worker_count=3, revision=2))
    assert pledges.look()[RESERVATION] == made
    fewer = pledges.pledge(replace(spec, worker_count=0, revision=2))
    assert (fewer.state, fewer.revision) == (PledgeState.PENDING, 2)
    assert on_instances.made(RESERVATION) == 1
    assert "PUT" not in [method for _, method, _ in on_instances.cloud.requests]


def test_what_has_no_room_beside_itself_is_lengthened_in_place(on_instances: FakePlatform) -> None:
    pledges, spec = on_instances.pledges(), on_instances.spec(worker_count=6)
    made = pledges.pledge(spec)
    longer = pledges.pledge(replace(spec, ends_at=spec.ends_at + HOUR, revision=2))
    assert (longer.reference, longer.revision) == (made.reference, 2)


def test_what_a_change_broke_is_made_again(on_hosts: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    pledges, spec = on_hosts.pledges(), on_hosts.spec()
    made = pledges.pledge(spec)

    def broken(lease: Lease, *_: object) -> None:
        lease.status = "ERROR"
        raise refused(500, "BlazarDBNotFound: A database error occurred")

    monkeypatch.setattr(on_hosts.cloud.blazar._changer, "change", broken)
    seen = pledges.pledge(replace(spec, ends_at=spec.ends_at + HOUR, revision=2))
    assert (seen.state, seen.revision) == (PledgeState.PENDING, 2)
    assert seen.reference != made.reference
    assert on_hosts.made(RESERVATION) == 1


def test_a_lease_of_flavors_is_never_asked_to_change(on_flavors: FakePlatform) -> None:
    pledges, spec = on_flavors.pledges(), on_flavors.spec()
    assert not pledges.may_change
    made = pledges.pledge(spec)
    on_flavors.cloud.requests.clear()
    for changed in (replace(spec, worker_count=1), replace(spec, ends_at=spec.ends_at - HOUR / 2)):
        with pytest.raises(ProvisionerError, match="only be given back"):
            pledges.pledge(changed)
    assert "PUT" not in [method for _, method, _ in on_flavors.cloud.requests]
    assert pledges.look()[RESERVATION] == made


def test_the_smallest_public_flavor_that_holds_a_node_is_taken(on_flavors: FakePlatform) -> None:
    spec = on_flavors.spec(worker_cores=3, worker_memory_mib=6 * GIB)
    shape = flavors(Cloud("service"), on_flavors.clock).shape(spec)
    assert {part.asked["flavor_id"]: part.amount for part in shape.parts} == {"1": 1, "3": 2}


def test_flavors_can_be_named_and_are_listed_once_in_a_while(on_flavors: FakePlatform) -> None:
    spec = on_flavors.spec()
    named = FlavorLeases(Cloud("service"), on_flavors.clock, {Size(1024, 1): "c1.wide"})
    on_flavors.cloud.requests.clear()
    for _ in range(3):
        assert [part.asked["flavor_id"] for part in named.shape(spec).parts] == ["5"]
    assert len([r for r in on_flavors.cloud.requests if r[0] == "compute"]) == 1
    on_flavors.clock.advance(KEPT)
    named.shape(spec)
    assert len([r for r in on_flavors.cloud.requests if r[0] == "compute"]) == 2


@pytest.mark.parametrize("names", [{Size(1024, 1): "secret.large"}, {Size(1024, 1): "nope"}], ids=str)
def test_a_flavor_that_is_not_there_is_for_the_operator(
    on_flavors: FakePlatform, names: dict[Size, str]
) -> None:
    leases = FlavorLeases(Cloud("service"), on_flavors.clock, names)
    with pytest.raises(Misconfigured):
        leases.shape(on_flavors.spec())
    with pytest.raises(Misconfigured):
        FlavorLeases(Cloud("service"), on_flavors.clock).shape(on_flavors.spec(worker_cores=64))


def test_only_hosts_with_the_wanted_properties_are_taken(on_hosts: FakePlatform) -> None:
    on_hosts.cloud.machines[2].properties["gpu"] = "a100"
    kind = HostLeases(HOST_CORES, HOST_MEMORY_MIB, resource_properties='["=", "$gpu", "a100"]')
    pledges, spec = pledges_on(on_hosts, kind), on_hosts.spec(worker_count=0)
    made = pledges.pledge(spec)
    assert on_hosts.lease(made.reference).reservations[0].hosts == ["3"]
    with pytest.raises(NotEnough):
        pledges.pledge(replace(spec, reservation_id=OTHER))
    unknown = HostLeases(HOST_CORES, HOST_MEMORY_MIB, resource_properties='["=", "$tape", "yes"]')
    with pytest.raises(Misconfigured):
        pledges_on(on_hosts, unknown).pledge(replace(spec, reservation_id=OTHER))


def test_kinds_of_instances_do_not_share_hosts(on_instances: FakePlatform) -> None:
    on_instances.pledges().pledge(on_instances.spec())
    cloud = Cloud("service")
    with pytest.raises(Misconfigured, match="Conflicting reservation types"):
        pledges_on(on_instances, FlavorLeases(cloud, on_instances.clock)).pledge(on_instances.spec(OTHER))


def test_strangers_of_every_kind_are_counted_by_what_they_have(on_hosts: FakePlatform) -> None:
    start = on_hosts.spec().starts_at
    asked = InstanceLeases(10).shape(on_hosts.spec(worker_count=3))
    made = Leases(Cloud("tenant")).create(
        "machines", f"{start:%Y-%m-%d %H:%M}", start + HOUR, [p.asked for p in asked.parts]
    )
    whole = on_hosts.reserve(start, start + HOUR)
    found = {stranger.reference: stranger for stranger in on_hosts.pledges().strangers()}
    assert found[whole.reference] == whole
    assert (found[made.id].cores, found[made.id].memory_mib) == (1 + 3 * 8, 1024 + 3 * 16 * GIB)
    on_hosts.clock.advance(3 * HOUR)
    assert on_hosts.pledges().strangers() == ()


def test_tokens_are_renewed_before_they_expire_and_after_they_were_revoked(on_hosts: FakePlatform) -> None:
    pledges = on_hosts.pledges()
    pledges.look()
    on_hosts.cloud.keystone.revoke()
    pledges.look()
    assert len(on_hosts.cloud.keystone.issued) == 2
    on_hosts.cloud.keystone.token_seconds = 5
    on_hosts.cloud.keystone.revoke()
    pledges.look()
    issued = len(on_hosts.cloud.keystone.issued)
    pledges.look()
    assert len(on_hosts.cloud.keystone.issued) > issued


def test_an_unknown_cloud_is_for_the_operator_and_read_again(on_hosts: FakePlatform) -> None:
    for _ in range(2):
        with pytest.raises(Misconfigured, match="nowhere"):
            on_hosts.of(Cloud("nowhere")).look()


def test_a_cloud_that_is_not_there_is_a_transient_error(on_hosts: FakePlatform) -> None:
    pledges = on_hosts.pledges()
    pledges.look()
    on_hosts.cloud.__exit__(None, None, None)
    with pytest.raises(ProvisionerError) as failed:
        pledges.look()
    assert failed.value.transient
    with pytest.raises(ProvisionerError) as failed:
        on_hosts.pledges().pledge(on_hosts.spec())
    assert failed.value.transient


def test_no_secret_is_in_an_error_or_in_the_log(
    on_hosts: FakePlatform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cloud, spec = on_hosts.cloud, on_hosts.spec()
    said = []
    on_hosts.pledges().look()
    for name in ("service", "tenant", "stranger", "nowhere"):
        for is_down in (False, True):
            cloud.faults.is_manager_down = is_down
            cloud.faults.manager_seconds = 0
            with pytest.raises(ProvisionerError) as failed:
                on_hosts.of(Cloud(name)).pledge(on_hosts.too_large(spec))
            chain = [failed.value, failed.value.__cause__, failed.value.__context__]
            said += [repr(error) for error in chain]
    text = " ".join([*said, *(record.getMessage() for record in caplog.records)])
    secrets = {user.password for user in USERS} | {"wrong-secret-9999", *cloud.keystone.issued}
    assert cloud.keystone.issued
    assert [secret for secret in secrets if secret in text] == []


def test_calls_of_threads_share_one_session(on_hosts: FakePlatform) -> None:
    pledges, start = on_hosts.pledges(), threading.Barrier(4)

    def look() -> None:
        start.wait()
        pledges.look()

    pledges.look()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(look) for _ in range(4)]:
            done.result()
    assert len(on_hosts.cloud.keystone.issued) == 1


@pytest.fixture
def on_lax(on_instances: FakePlatform) -> FakePlatform:
    """Blazar as it is: it counts machines once on a host, however many are there."""
    on_instances.cloud.blazar.be_lax()
    return on_instances


def cores_on(platform: FakePlatform) -> dict[str, int]:
    """What is reserved of every host in the hour of the tests, machine by machine."""
    spec, cores = platform.spec(), Counter[str]()
    for lease in platform.cloud.blazar.leases.values():
        if lease.meets(spec.starts_at, spec.ends_at):
            for reservation in lease.reservations:
                for host in reservation.hosts:
                    cores[host] += int(reservation.values["vcpus"])
    return dict(cores)


def test_without_a_count_machines_are_granted_twice(on_lax: FakePlatform) -> None:
    """The trap itself; were it gone, the tests below would prove nothing."""
    spec = on_lax.spec(worker_count=2)
    for number in range(3):
        parts = [part.asked for part in InstanceLeases(20).shape(spec).parts]
        Leases(Cloud("service")).create(
            f"somebody {number}", f"{spec.starts_at:%Y-%m-%d %H:%M}", spec.ends_at, parts
        )
    assert max(cores_on(on_lax).values()) > HOST_CORES


def test_machines_go_where_there_is_room_and_what_has_none_is_given_back(on_lax: FakePlatform) -> None:
    pledges = on_lax.pledges()
    for number in range(6):
        spec = on_lax.spec(f"pledge0number{number}", worker_count=1)
        assert pledges.pledge(spec).state is PledgeState.PENDING
        assert max(cores_on(on_lax).values()) <= HOST_CORES
    before = cores_on(on_lax)
    assert sum(before.values()) == 6 * 9
    with pytest.raises(NotEnough) as refused:
        pledges.pledge(on_lax.spec(OTHER, worker_count=2))
    assert refused.value.transient
    assert on_lax.made(OTHER) == 0
    assert cores_on(on_lax) == before


def test_where_our_settings_narrow_the_hosts_full_ones_are_left_out_beside(on_lax: FakePlatform) -> None:
    for machine in on_lax.cloud.machines[1:]:
        machine.properties["ssd"] = "yes"
    pledges = pledges_on(on_lax, InstanceLeases(20, '["=", "$ssd", "yes"]'))
    for number in range(3):
        pledges.pledge(on_lax.spec(f"pledge0number{number}", worker_count=1))
    there = cores_on(on_lax)
    assert on_lax.cloud.machines[0].id not in there
    assert max(there.values()) <= HOST_CORES
    assert len(there) > 1


def test_one_that_cannot_be_longer_where_it_is_stays_as_it_was(on_lax: FakePlatform) -> None:
    pledges, start = on_lax.pledges(), on_lax.now()
    spec = on_lax.spec(starts_at=start, ends_at=start + HOUR, worker_count=1)
    pledges.pledge(spec)
    before = on_lax.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)
    assert before.ends_at
    two = InstanceLeases(20, '["=", "$hypervisor_hostname", "node-001"]').shape(
        on_lax.spec(notebook_cores=8, notebook_memory_mib=16 * GIB, worker_count=1)
    )
    later = f"{before.ends_at:%Y-%m-%d %H:%M}"
    Leases(Cloud("tenant")).create("another", later, before.ends_at + HOUR, [p.asked for p in two.parts])
    with pytest.raises(NotEnough):
        pledges.pledge(replace(spec, ends_at=before.ends_at + HOUR, revision=2))
    assert on_lax.wait_for(pledges, RESERVATION, PledgeState.ACTIVE) == before
