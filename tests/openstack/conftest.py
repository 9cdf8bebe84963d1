"""One cloud for all tests that need one; they run in one process, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openstack.rig import boot
from tests.openstack.rig.cloud import Cloud
from tests.openstack.rig.processes import living_in

HOSTS = 6
OUTSIDE = 1
"""Hosts that Blazar does not have: it keeps everybody without a reservation off those that it has."""
SECONDS = 900
"""For one test; the first waits for the boot, and some for the minutes by which Blazar counts."""
_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whatever lies here needs the cloud; a class may say to which of its tests a usual run is shortened."""
    if not os.environ.get("BOOKING_TEST_OPENSTACK_ALL"):
        left_out = [item for item in items if item.path.is_relative_to(_HERE) and _is_left_out(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("openstack")
            item.add_marker(pytest.mark.xdist_group("openstack"))
            item.add_marker(pytest.mark.timeout(SECONDS))


def _is_left_out(item: pytest.Item) -> bool:
    shortened = getattr(getattr(item, "cls", None), "SHORTENED", None)
    return shortened is not None and getattr(item, "originalname", "") not in shortened


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of `BOOKING_TEST_OPENSTACK_HOSTS` hosts, all but one of them reservable."""
    hosts = int(os.environ.get("BOOKING_TEST_OPENSTACK_HOSTS", HOSTS))
    folder = tmp_path_factory.mktemp("openstack")
    with boot.cloud(folder, hosts, hosts - OUTSIDE) as booted:
        yield booted
    assert living_in(folder) == [], "something outlives the cloud"
