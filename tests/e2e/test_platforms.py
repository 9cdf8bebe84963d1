"""A platform of its own under the real service: set aside, made in it, given back, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.waiting import eventually
from tests.e2e.service import Service

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]
HOUR = timedelta(hours=1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service with a pool on a platform that pledges; its clusters are imagined."""
    started = Service(tmp_path / "service")
    try:
        _furnish(started)
        yield started
    finally:
        started.close()


def _furnish(service: Service) -> None:
    settings = ("--provisioner", "null", "--set", "pledges=true", "--teardown-seconds", "5")
    service.command("platform", "create", "cloud", *settings)
    service.command("pool", "create", "far", "--timezone", "UTC", "--platform", "cloud")
    amounts = ("--cores", "10000", "--memory-mib", "10000000", "--reason", "bought")
    service.command("pool", "inventory", "add", "far", "--start", "2026-01-01", *amounts)


def pledges(service: Service) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(service.command("platform", "show", "cloud", "--json"))[
        "set_aside"
    ]
    return shown


def book(service: Service) -> str:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    span = {"start": start.isoformat(), "end": (start + 3 * HOUR).isoformat()}
    body = {"package": "tiny", "sharing": "reserved", "pool": "far", "spans": [span]}
    return str(service.json("POST", "/bookings", json=body)["id"])


def booking(service: Service, name: str) -> Any:
    return service.json("GET", f"/bookings/{name}")


def test_a_booking_is_set_aside_made_and_given_back_though_the_scheduler_is_killed(service: Service) -> None:
    made = book(service)
    eventually(lambda: pledges(service))
    os.kill(service.part("scheduler"), signal.SIGKILL)
    eventually(lambda: booking(service, made)["state"] == "active")
    (reservation,) = booking(service, made)["reservations"]
    tokens = {end["name"]: end.get("token") for end in reservation["cluster"]["endpoints"]}
    assert tokens["notebook"] == f"token-of-{reservation['id']}"
    (pledge,) = pledges(service)
    assert (pledge["reservation"], pledge["phase"]) == (reservation["id"], "active")
    shown = service.command("show", made, "--tokens")
    assert f"token-of-{reservation['id']}" in shown

    assert service.call("DELETE", f"/bookings/{made}").ok
    os.kill(service.part("scheduler"), signal.SIGKILL)
    eventually(lambda: not pledges(service))
    assert booking(service, made)["state"] == "ended"
    assert not list((service.home / "platforms").glob("*/pledges/bk-*"))
    assert service.command("verify") == "all is well\n"
