"""The clusters of a booking: told while they run, their tokens only to those who may use them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from booking.adapters.base import ProvisionerError
from booking.adapters.null import NullProvisioner
from booking.scheduler import Scheduler
from tests.api.support import Caller, Site, at, wish
from tests.support.doors import TestClock
from tests.support.site import until

NOW = {"spans": [{"start": "2030-01-07T09:00:00Z", "end": "2030-01-07T12:00:00Z"}]}


@pytest.fixture
def provisioner(app: Flask, clock: TestClock) -> NullProvisioner:
    """The one that both the scheduler and the API speak to."""
    made = NullProvisioner(clock)
    app.extensions["booking.provisioner"] = lambda: made
    return made


@pytest.fixture
def scheduler(site: Site, provisioner: NullProvisioner) -> Scheduler:
    return Scheduler(site.ctx, provisioner, "test")


def cluster(caller: Caller, booking: dict[str, Any]) -> dict[str, Any]:
    told = caller.get(f"/bookings/{booking['id']}").must(200)
    cluster: dict[str, Any] = told["reservations"][0]["cluster"]
    return cluster


def test_tokens_are_told_to_owner_guest_and_group_while_the_cluster_is_ready(
    site: Site, scheduler: Scheduler, clock: TestClock
) -> None:
    ann, ben, cleo = site.person("ann"), site.person("ben"), site.person("cleo")
    ann.post("/groups", json={"name": "lab"}).must(201)
    ann.put("/groups/lab/members/cleo", json={"role": "reader"}).must(200)
    booking = ann.post("/bookings", json=wish(group="lab") | NOW).must(201)
    ann.put(f"/bookings/{booking['id']}/guests/ben").must(200)
    scheduler.tick()
    told = ann.get(f"/bookings/{booking['id']}").must(200)
    assert told["state"] == "active"
    (reservation,) = told["reservations"]
    assert reservation["cluster"] == {
        "state": "ready",
        "detail": "The cluster is ready.",
        "attempts": reservation["cluster"]["attempts"],
        "ready_at": "2030-01-07T09:00:00Z",
        "endpoints": [
            {
                "name": "notebook",
                "url": f"http://127.0.0.1/booking/{reservation['id']}/",
                "token": f"token-of-{reservation['id']}",
            },
            {"name": "scheduler", "url": f"tls://127.0.0.1/{reservation['id']}"},
        ],
    }
    for reader in (ben, cleo):
        assert cluster(reader, booking)["endpoints"][0]["token"]
    listed = ann.get("/bookings").must(200)["items"][0]["reservations"][0]["cluster"]
    assert listed["endpoints"][0]["token"]
    assert all("token" not in endpoint for endpoint in cluster(site.root, booking)["endpoints"])
    assert cluster(site.root, booking)["endpoints"]
    ann.delete(f"/bookings/{booking['id']}/guests/ben").must(204)
    ben.get(f"/bookings/{booking['id']}").must(404)
    ann.delete(f"/bookings/{booking['id']}").must(204)
    assert all("token" not in endpoint for endpoint in cluster(ann, booking)["endpoints"])

    def later() -> None:
        scheduler.tick()
        clock.advance(timedelta(seconds=2))

    until(lambda: cluster(ann, booking)["state"] == "gone", later, tries=5)
    assert ann.get(f"/bookings/{booking['id']}").must(200)["state"] == "ended"


def test_an_outside_that_does_not_answer_costs_the_tokens_and_nothing_else(
    site: Site, scheduler: Scheduler, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = site.person("ann")
    booking = ann.post("/bookings", json=wish() | NOW).must(201)
    scheduler.tick()

    def refuse(_: str) -> dict[str, str]:
        raise ProvisionerError("the outside is down")

    monkeypatch.setattr(app.extensions["booking.provisioner"](), "credentials", refuse)
    told = cluster(ann, booking)
    assert "cannot be read" in told["detail"]
    assert all("token" not in endpoint for endpoint in told["endpoints"])


def test_a_reservation_that_ends_soon_says_so_and_can_be_extended(
    site: Site, scheduler: Scheduler, clock: TestClock
) -> None:
    ann = site.person("ann")
    booking = ann.post("/bookings", json=wish() | NOW).must(201)
    scheduler.tick()
    path = f"/bookings/{booking['id']}"
    assert ann.get(path).must(200)["reservations"][0]["ends_soon"] is False
    clock.advance(timedelta(hours=2, minutes=50))
    scheduler.tick()
    (reservation,) = ann.get(path).must(200)["reservations"]
    assert reservation["ends_soon"] is True
    assert reservation["warned_at"] == "2030-01-07T11:50:00Z"
    end = {"end": "2030-01-07T13:00:00Z"}
    later = ann.patch(f"{path}/reservations/{reservation['id']}", json=end, headers={"If-Match": "*"})
    (reservation,) = later.must(200)["reservations"]
    assert (reservation["ends_soon"], reservation["warned_at"]) == (False, None)


def test_a_cut_below_a_booking_flags_it(site: Site) -> None:
    ann = site.person("ann")
    booking = ann.book("large", (9, 12)).must(201)
    cut = {"span": {"start": at(0), "end": None}, "resources": {"cores": 1}, "reason": "a node died"}
    site.root.post("/pools/main/blackouts?on_conflict=keep", json=cut).must(201)
    assert ann.get(f"/bookings/{booking['id']}").must(200)["reservations"][0]["at_risk"] is True


def test_the_provisioner_of_the_settings_is_made_once_and_at_first_need(site: Site, app: Flask) -> None:
    found = app.extensions["booking.provisioner"]
    assert isinstance(found(), NullProvisioner)
    assert found() is found()
