"""Platforms over HTTP: administrators say what makes clusters there, and see how it fares."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.support import Site

CLOUD: dict[str, Any] = {
    "name": "cloud",
    "traits": ["gpu"],
    "provisioner": "null",
    "settings": {"pledges": True, "cores": 64, "fixed": True},
    "lead_minutes": 10,
    "teardown_seconds": 120,
}


WELL = {"fault": None, "fault_since": None}


def test_a_platform_is_made_put_to_use_and_changed(site: Site) -> None:
    made = site.root.post("/platforms", json=CLOUD)
    shown = made.must(201)
    assert shown == CLOUD | {"id": shown["id"], "pledges": True, "stranger_level": None} | WELL
    assert site.root.get(made.headers["Location"]).must(200) == shown
    pool = {"name": "far", "timezone": "UTC", "granularity": "hour", "platform": "cloud"}
    assert site.root.post("/pools", json=pool).must(201)["platform"] == "cloud"
    assert shown in site.root.get("/platforms").must(200)["items"]
    assert site.root.get("/platforms/cloud/pledges").must(200)["items"] == []

    changed = site.root.patch("/platforms/cloud", json={"settings": {}, "lead_minutes": 0}).must(200)
    assert (changed["settings"], changed["pledges"], changed["lead_minutes"]) == ({}, False, 0)
    own = site.root.patch("/platforms/cloud", json={"provisioner": ""}).must(200)
    assert own["provisioner"] is None


@pytest.mark.parametrize(
    "change, field",
    [
        ({"name": ""}, "name"),
        ({"provisioner": "Null"}, "provisioner"),
        ({"provisioner": "nowhere"}, "provisioner"),
        ({"settings": {"colour": "red"}}, "settings.colour"),
        ({"settings": {"cores": -1}}, "settings.cores"),
        ({"settings": {"cores": True}}, "settings.cores"),
        ({"settings": {"pledges": "yes"}}, "settings.pledges"),
        ({"settings": ["pledges"]}, "settings"),
        ({"settings": {"x": "y" * 8000}}, "settings"),
        ({"lead_minutes": -1}, "lead_minutes"),
        ({"teardown_seconds": 1.5}, "teardown_seconds"),
        ({"stranger_level": -1}, "stranger_level"),
        ({"provisioner": "", "settings": {"cores": 1}}, "settings"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    site: Site, change: dict[str, Any], field: str
) -> None:
    before = site.root.get("/platforms").must(200)
    errors = site.root.post("/platforms", json=CLOUD | change).must(422)["errors"]
    assert any(name == field or name.startswith(f"{field}.") for name in errors), errors
    assert site.root.get("/platforms").must(200) == before


def test_names_are_taken_once_and_unknown_ones_are_told(site: Site) -> None:
    site.root.post("/platforms", json=CLOUD).must(201)
    assert site.root.post("/platforms", json=CLOUD).must(409)["code"] == "platform.conflict"
    assert site.root.get("/platforms/moon").must(404)["code"] == "platform.not_found"
    assert site.root.get("/platforms/moon/pledges").must(404)["code"] == "platform.not_found"
    assert site.root.patch("/platforms/moon", json={}).must(404)["code"] == "platform.not_found"
    site.person("ann").get("/platforms").must(403)


LEASE = {
    "name": "run",
    "owner": "astro",
    "starts_at": "2030-01-08T10:00:00Z",
    "ends_at": "2030-01-08T12:00:00Z",
}


def inquire(site: Site, act: str, token: str, cores: object, **more: Any) -> Any:
    """As Blazar asks: its token in its own header, and nothing that says Bearer."""
    body = {"context": {"project_id": "astro"}, "lease": LEASE | {"cores": cores}} | more
    headers = {"X-Auth-Token": token}
    return site.nobody.post(f"/platforms/cloud/inquiries/{act}", json=body, headers=headers)


def test_a_platform_asks_before_it_leases(site: Site) -> None:
    site.root.post("/platforms", json=CLOUD).must(201)
    pool = {"name": "far", "timezone": "UTC", "granularity": "hour", "platform": "cloud"}
    site.root.post("/pools", json=pool).must(201)
    owned = {"span": {"start": "2030-01-01T00:00:00Z", "end": None}, "resources": {"cores": 8}, "reason": "x"}
    site.root.post("/pools/far/inventory", json=owned).must(201)
    made = site.root.post("/tokens", json={"scopes": ["strangers:write"], "label": "blazar"}).must(201)
    token = made["token"]

    inquire(site, "check-create", token, 6).must(204)
    told = inquire(site, "check-create", token, 6).must(403, "booking.no_capacity")
    assert told["message"] == told["detail"]
    assert told["detail"] == "6 cores and 0 MiB are not free from Tue 08 Jan 10:00 to Tue 08 Jan 12:00."
    known = LEASE | {"id": "lease-1", "cores": 6}
    inquire(site, "check-update", token, 8, current_lease=known).must(204)
    inquire(site, "check-update", token, 9, current_lease=known).must(403)
    inquire(site, "on-end", token, 8, lease=known).must(204)
    inquire(site, "check-create", token, 8).must(204)

    # The token can do nothing else, and no other token can do this.
    site.nobody.get("/platforms", headers={"Authorization": f"Bearer {token}"}).must(403)
    site.nobody.get("/accounts/me", headers={"X-Auth-Token": token}).must(401)
    inquire(site, "check-create", "x" * 43, 1).must(401)
    ann = site.person("ann")
    ann.post("/tokens", json={"scopes": ["strangers:write"]}).must(403)
    ann.post("/platforms/cloud/inquiries/check-create", json={"context": {}, "lease": {}}).must(403)


@pytest.mark.parametrize(
    "lease", [{}, {"cores": "six"}, {"cores": True}, {"ends_at": "soon"}, {"ends_at": None}]
)
def test_what_a_platform_asks_must_make_sense(site: Site, lease: dict[str, Any]) -> None:
    site.root.post("/platforms", json=CLOUD).must(201)
    asked = {"context": {}, "lease": LEASE | {"cores": 1} | lease if lease else {}}
    problem = site.root.post("/platforms/cloud/inquiries/check-create", json=asked).must(422)
    assert list(problem["errors"]) == ["lease"]
    site.root.post("/platforms/cloud/inquiries/check-create", json={"lease": {}}).must(422)
    site.root.post("/platforms/moon/inquiries/check-create", json=asked).must(404)
    site.root.patch("/platforms/cloud", json={"settings": {}}).must(200)
    site.root.post("/platforms/cloud/inquiries/on-end", json=asked).must(409)
