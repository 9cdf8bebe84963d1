"""From a booking to a notebook that computes, and back to nothing; also when everything is killed between."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from booking.adapters.base import ClusterState, Endpoint, Observed, outside_name
from tests.adapters.machine import identities, running
from tests.adapters.notebook import Notebook
from tests.adapters.waiting import eventually
from tests.e2e.service import Service

pytestmark = [pytest.mark.clusters, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

HOUR = timedelta(hours=1)
LOCAL = {"BOOKING_TICK_SECONDS": "0.5", "BOOKING_WORKERS": "1", "BOOKING_RECONCILE_SECONDS": "2"}
COMPUTE = "from dask.distributed import Client\nclient = Client()\nclient.submit(sum, range(1000)).result()"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that makes real clusters; none of them outlives the test."""
    with_database = {"BOOKING_DATABASE_URL": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"}
    started = Service(tmp_path / "service", settings=LOCAL | with_database)
    yield started
    if started.process.poll() is not None:
        started = started.again()
    for booking in started.json("GET", "/bookings")["items"]:
        started.call("DELETE", f"/bookings/{booking['id']}")
    eventually(lambda: not workspaces(started))
    started.close()


def workspaces(service: Service) -> list[Path]:
    """The folders of clusters."""
    return sorted((service.home / "workspaces").glob("bk-*"))


def book_now(service: Service) -> Any:
    """Book the smallest package from the current hour to the end of the next."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    span = {"start": start.isoformat(), "end": (start + 2 * HOUR).isoformat()}
    body = {"package": "tiny", "sharing": "reserved", "spans": [span]}
    return service.json("POST", "/bookings", json=body)


def reservation_of(service: Service, booking_id: str) -> Any:
    (reservation,) = service.json("GET", f"/bookings/{booking_id}")["reservations"]
    return reservation


def wait_until_ready(service: Service, booking_id: str) -> Any:
    """The reservation, once its cluster is ready and its time has come."""

    def look() -> Any:
        seen = reservation_of(service, booking_id)
        assert seen["state"] in ("confirmed", "preparing", "active"), seen
        return seen if seen["state"] == "active" else None

    return eventually(look)


def notebook_of(reservation: Any) -> Notebook:
    """The notebook of a reservation, opened with the token that the API tells its owner."""
    endpoints = reservation["cluster"]["endpoints"]
    (token,) = (endpoint["token"] for endpoint in endpoints if endpoint["name"] == "notebook")
    seen = tuple(Endpoint(endpoint["name"], endpoint["url"]) for endpoint in endpoints)
    return Notebook(Observed(ClusterState.READY, endpoints=seen), token)


def is_open(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address.hostname, address.port)) == 0


def reserved_cores(service: Service) -> int:
    """The most that is reserved from the next hour on."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
    window = {"from": start.isoformat(), "to": (start + 24 * HOUR).isoformat()}
    (pool,) = service.json("GET", "/pools")["items"]
    timeline = service.json("GET", f"/pools/{pool['id']}/timeline", params=window)
    return max(int(segment["reserved"]["cores"]) for segment in timeline["segments"])


def test_a_booking_becomes_a_notebook_that_computes_and_its_end_leaves_nothing(service: Service) -> None:
    booking = book_now(service)
    reservation = wait_until_ready(service, booking["id"])
    assert reserved_cores(service) == booking["demand"]["cores"]
    (token,) = (e["token"] for e in reservation["cluster"]["endpoints"] if e["name"] == "notebook")
    assert token not in service.command("show", booking["id"])
    assert token in service.command("show", booking["id"], "--tokens")
    urls = [endpoint["url"] for endpoint in reservation["cluster"]["endpoints"]]
    with notebook_of(reservation) as notebook:
        computed = notebook.run(COMPUTE)
        package = notebook.run("import os; print(os.environ['BOOKING_PACKAGE'], os.environ['BOOKING_ID'])")
        database = service.settings["BOOKING_DATABASE_URL"].removeprefix("sqlite:///")
        peeked = notebook.run(f"open({database!r}, 'rb').read()")
    assert (computed.text, computed.error) == ("499500", "")
    assert package.text == f"tiny {booking['id']}\n"
    assert "SQLite format" not in peeked.text

    service.json("DELETE", f"/bookings/{booking['id']}")
    eventually(lambda: reservation_of(service, booking["id"])["state"] == "ended")
    assert workspaces(service) == []
    assert running(outside_name(reservation["id"])) == []
    assert [url for url in urls if is_open(url)] == []
    assert reserved_cores(service) == 0
    assert service.command("verify") == "all is well\n"


def test_a_cluster_outlives_a_service_that_is_killed_and_is_taken_up_by_the_next(service: Service) -> None:
    booking = book_now(service)
    reservation = wait_until_ready(service, booking["id"])
    (folder,) = workspaces(service)
    guardians = identities(folder)
    with notebook_of(reservation) as notebook:
        assert notebook.run("kept = 42").error == ""
        parts = service.parts()
        service.kill()
        eventually(lambda: not {*parts} & {*running("booking")})
        assert notebook.run("kept").text == "42"
        again = service.again()
        try:
            found = wait_until_ready(again, booking["id"])
            assert notebook.run("kept").text == "42"
            assert found["cluster"]["endpoints"] == reservation["cluster"]["endpoints"]
            assert identities(folder) == guardians
            assert again.command("verify") == "all is well\n"
            again.json("DELETE", f"/bookings/{booking['id']}")
            eventually(lambda: reservation_of(again, booking["id"])["state"] == "ended")
            assert workspaces(again) == []
        finally:
            again.close()
