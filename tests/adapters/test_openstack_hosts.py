"""The hosts of a cloud, as Blazar, Nova and Placement tell them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from booking.adapters.base import Host, Misconfigured, ProvisionerError, Stock
from booking.adapters.openstack.hosts import BlazarStock, NovaStock, PlacementStock
from booking.adapters.openstack.session import Cloud
from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.machines import machines
from tests.openstack.fake.placement import RESERVED_MIB

STOCKS: list[Callable[[Cloud], Stock]] = [BlazarStock, NovaStock, PlacementStock]


@pytest.mark.parametrize("stock", STOCKS)
def test_every_host_is_told_with_what_it_has(cloud: FakeCloud, stock: Callable[[Cloud], Stock]) -> None:
    reserved = RESERVED_MIB if stock is PlacementStock else 0
    assert stock(Cloud("service")).hosts() == tuple(
        Host(m.name, m.cores, m.memory_mib - reserved, m.disk_gib) for m in cloud.machines
    )


@pytest.mark.parametrize("stock", STOCKS)
def test_hosts_are_for_administrators(cloud: FakeCloud, stock: Callable[[Cloud], Stock]) -> None:
    for name in ("tenant", "stranger", "nowhere"):
        with pytest.raises(Misconfigured):
            stock(Cloud(name)).hosts()


@pytest.mark.parametrize("stock", STOCKS)
def test_a_cloud_that_stopped_is_a_transient_error(cloud: FakeCloud, stock: Callable[[Cloud], Stock]) -> None:
    asked = stock(Cloud("service"))
    asked.hosts()
    cloud.__exit__(None, None, None)
    with pytest.raises(ProvisionerError) as failed:
        asked.hosts()
    assert failed.value.transient


def test_nova_tells_which_hosts_are_lost_or_disabled_and_why(cloud: FakeCloud) -> None:
    lost, disabled, unsaid, fine = cloud.machines
    lost.is_up = False
    disabled.is_enabled, disabled.disabled_reason = False, "new memory"
    unsaid.is_enabled = False
    told = {host.name: host for host in NovaStock(Cloud("service")).hosts()}
    assert [told[m.name].is_up for m in cloud.machines] == [False, False, False, True]
    assert told[lost.name].detail == "Nova has lost this host."
    assert told[disabled.name].detail == "An operator has disabled this host: new memory"
    assert told[unsaid.name].detail == "An operator has disabled this host."
    assert told[fine.name].detail == ""


def test_nova_is_asked_page_by_page(cloud: FakeCloud) -> None:
    cloud.machines[:] = machines(120)
    assert len(NovaStock(Cloud("service")).hosts()) == 120


def test_blazar_tells_which_hosts_it_does_not_lease_and_their_gpus(cloud: FakeCloud) -> None:
    cloud.machines[0].is_reservable = False
    cloud.machines[1].properties["gpus"] = "4"
    cloud.machines[2].properties["gpus"] = "some"
    told = BlazarStock(Cloud("service")).hosts()
    assert [host.is_up for host in told] == [False, True, True, True]
    assert [host.gpus for host in told] == [0, 4, 0, 0]
    assert told[0].detail


def test_placement_tells_which_hosts_are_disabled_and_their_gpus(cloud: FakeCloud) -> None:
    cloud.machines[0].is_enabled = False
    cloud.machines[1].properties["gpus"] = "4"
    told = PlacementStock(Cloud("service")).hosts()
    assert [host.is_up for host in told] == [False, True, True, True]
    assert [host.gpus for host in told] == [0, 4, 0, 0]
    assert told[0].detail == "An operator has disabled this host."
