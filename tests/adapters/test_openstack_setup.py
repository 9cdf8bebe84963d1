"""What the settings of a cloud mean, what is wrong with them, and what a dry check tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from booking.adapters import make_ports
from booking.adapters.base import Ports, SettingsFault
from tests.adapters.test_nova import NovaOutside, outside
from tests.openstack.fake.glance import IMAGE
from tests.openstack.fake.magnum import TEMPLATE
from tests.support.doors import TestClock

__all__ = ["outside"]
GOOD: dict[str, Any] = {"cloud": "service", "image": IMAGE}


def ports(outside: NovaOutside, **settings: Any) -> Ports:
    return make_ports("nova", GOOD | settings, Path(), outside.clock, installation="here", key=b"secret")


@pytest.mark.parametrize(
    "settings, fault",
    [
        ({"cloud": ""}, {"cloud": "is needed"}),
        ({"image": 5}, {"image": "must be text"}),
        ({"colour": "red"}, {"colour": "is not a setting of this provisioner"}),
        (
            {"pledges": "hosts"},
            {"pledges": "is one of empty, physical:host, flavor:instance, virtual:instance"},
        ),
        (
            {"pledges": "physical:host"},
            {
                "host_cores": "must be a whole number, 1 or more",
                "host_memory_mib": "must be a whole number, 1 or more",
            },
        ),
        ({"host_cores": 5}, {"host_cores": "is not a setting of this provisioner"}),
        (
            {"pledges": "virtual:instance", "disk_gib": True},
            {"disk_gib": "must be a whole number, 0 or more"},
        ),
        ({"flavors": {"big": "m1"}}, {"flavors": 'must be an object like {"4x8192": "name of a flavor"}'}),
        ({"flavors": "m1"}, {"flavors": 'must be an object like {"4x8192": "name of a flavor"}'}),
        ({"probe": "yes"}, {"probe": "must be true or false"}),
        ({"stock": "ironic"}, {"stock": "is one of empty, blazar, nova, placement"}),
        ({"address": "https://{host}/"}, {"address": "may name {name} and nothing else"}),
        ({"address": "https://{name"}, {"address": "may name {name} and nothing else"}),
        ({"engine": "ray"}, {"engine": "is one of dask, spark"}),
    ],
)
def test_each_setting_that_is_wrong_is_named(
    outside: NovaOutside, settings: dict[str, Any], fault: dict[str, str]
) -> None:
    with pytest.raises(SettingsFault) as wrong:
        ports(outside, **settings)
    assert wrong.value.faults == fault


def test_an_unknown_provisioner_is_told_with_the_known_ones() -> None:
    with pytest.raises(SettingsFault) as wrong:
        make_ports("moon", {}, Path(), TestClock(), installation="", key=b"")
    assert wrong.value.faults == {"provisioner": "is one of nova, magnum, null"}


def test_settings_ask_the_cloud_nothing(outside: NovaOutside) -> None:
    made = ports(
        outside,
        pledges="flavor:instance",
        flavors={"4x8192": "m1.large"},
        stock="placement",
        address="https://{name}.example.org",
    )
    assert made.pledges is not None
    assert not made.pledges.may_change
    assert made.stock is not None
    assert set(made.tokens("some0reservation")) == {"notebook"}
    assert outside.cloud.requests == []
    assert ports(outside).pledges is None


def test_a_dry_check_tells_line_by_line_what_is_there(outside: NovaOutside) -> None:
    made = ports(outside, pledges="virtual:instance", stock="blazar", network="auto")
    lines = {line.what: line for line in made.checks()}
    assert [what for what, line in lines.items() if not line.ok] == []
    assert lines[f"the image {IMAGE}"].detail == "node, active"
    assert "user service of project service" in lines["the name and password of the service user"].detail
    assert "4 hosts, 64 cores" in lines["the hosts as blazar knows them"].detail
    assert not outside.cloud.blazar.leases


def test_a_wrong_password_is_the_only_line(outside: NovaOutside) -> None:
    (line,) = ports(outside, cloud="stranger").checks()
    assert not line.ok
    assert "wrong-secret" not in line.detail


def test_a_tenant_is_told_what_only_administrators_see(outside: NovaOutside) -> None:
    (line,) = [one for one in ports(outside, image="another").checks() if not one.ok]
    assert line.what == "the image another"
    made = ports(outside, cloud="tenant", pledges="virtual:instance")
    wrong = [line.what for line in made.checks() if not line.ok]
    assert "Blazar shows allocations (administrators only)" in wrong
    assert "Blazar lists leases" not in wrong


MAGNUM: dict[str, Any] = {"cloud": "service", "template": TEMPLATE}


@pytest.mark.parametrize(
    "settings, fault",
    [
        ({"template": ""}, {"template": "is needed"}),
        ({"templates": ["a"]}, {"templates": "must be an object of texts"}),
        ({"templates": {"tiny": 1}}, {"templates": "must be an object of texts"}),
        ({"image": "x"}, {"image": "is not a setting of this provisioner"}),
    ],
)
def test_each_setting_of_magnum_that_is_wrong_is_named(
    outside: NovaOutside, settings: dict[str, Any], fault: dict[str, str]
) -> None:
    with pytest.raises(SettingsFault) as wrong:
        of_magnum(outside, **settings)
    assert wrong.value.faults == fault


def of_magnum(outside: NovaOutside, **settings: Any) -> Ports:
    return make_ports("magnum", MAGNUM | settings, Path(), outside.clock, installation="here", key=b"secret")


def test_a_dry_check_of_magnum_names_the_template_that_is_missing(outside: NovaOutside) -> None:
    assert all(line.ok for line in of_magnum(outside, pledges="flavor:instance", stock="nova").checks())
    lines = of_magnum(outside, templates={"tiny": "another"}).checks()
    assert [line.what for line in lines if not line.ok] == ["the cluster template another"]
    (line,) = of_magnum(outside, cloud="stranger").checks()
    assert not line.ok
