"""Pools, inventory and blackouts over HTTP: what exists, and what a change does before it is made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.support import DAY, Site, at, span


def amounts(cores: int = 0, memory_mib: int = 0) -> dict[str, int]:
    return {"cores": cores, "memory_mib": memory_mib, "gpus": 0, "disk_gib": 0}


def cut(cores: int = 4, **more: Any) -> dict[str, Any]:
    return {"span": {"start": at(0), "end": None}, "resources": {"cores": cores}, "reason": "broken", **more}


def test_a_pool_is_made_found_by_name_or_id_and_changed(site: Site) -> None:
    body = {
        "name": "the cloud",
        "platform": "openstack",
        "traits": ["gpu", "ssd"],
        "timezone": "Europe/Berlin",
        "granularity": "day",
        "share_ratio": 1.5,
        "level0_reserve": {"cores": 2, "memory_mib": 1024},
    }
    made = site.root.post("/pools", json=body)
    pool = made.must(201)
    assert made.headers["Location"] == f"/api/v1/pools/{pool['id']}"
    assert pool == body | {
        "id": pool["id"],
        "level0_reserve": amounts(2, 1024),
        "generation": pool["generation"],
        "closed": None,
    }
    assert site.nobody.get(f"/pools/{pool['id']}").must(200) == pool
    assert site.nobody.get("/pools/the cloud").must(200) == pool
    assert [p["name"] for p in site.nobody.get("/pools").must(200)["items"]] == ["main", "the cloud"]
    site.root.post("/pools", json=body).must(409, "pool.conflict")
    site.root.patch(f"/pools/{pool['id']}", json={"name": "main"}).must(409, "pool.conflict")
    changed = site.root.patch("/pools/the cloud", json={"share_ratio": 2, "traits": []}).must(200)
    assert (changed["share_ratio"], changed["traits"], changed["name"]) == (2.0, [], "the cloud")
    site.nobody.get("/pools/nope").must(404, "pool.not_found")
    site.root.patch("/pools/nope", json={}).must(404)


BAD_POOLS: list[tuple[dict[str, Any], str]] = [
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"timezone": "../etc/passwd"}, "timezone"),
    ({"granularity": "week"}, "granularity"),
    ({"share_ratio": 0.999}, "share_ratio"),
    ({"share_ratio": 1.0005}, "share_ratio"),
    ({"share_ratio": True}, "share_ratio"),
    ({"share_ratio": "2"}, "share_ratio"),
    ({"share_ratio": 1e308}, "share_ratio"),
    ({"level0_reserve": {"cores": -1}}, "level0_reserve.cores"),
    ({"level0_reserve": {"cpus": 1}}, "level0_reserve.cpus"),
    ({"name": ""}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"traits": ["x"] * 51}, "traits"),
]


def test_a_pool_that_cannot_be_is_refused_by_field(site: Site) -> None:
    for change, field in BAD_POOLS:
        body = {"name": "p", "timezone": "UTC", "granularity": "hour"} | change
        assert field in site.root.post("/pools", json=body).must(422)["errors"], change


def test_the_timeline_tells_the_exact_steps_and_their_reasons(site: Site) -> None:
    site.person("ann").book("small", (9, 12)).must(201)
    path = f"/pools/main/timeline?from={DAY}&to=2030-01-09"
    told = site.nobody.get(path).must(200)
    assert [(s["start"], s["physical"], s["reserved"], s["available"]) for s in told["segments"]] == [
        (at(0), amounts(8, 32768), amounts(), amounts(8, 32768)),
        (at(9), amounts(8, 32768), amounts(2, 2048), amounts(6, 30720)),
        (at(12), amounts(8, 32768), amounts(), amounts(8, 32768)),
    ]
    (row,) = told["inventory"]
    assert (row["reason"], row["span"]["end"], row["resources"]) == ("bought", None, amounts(8, 32768))
    site.root.post("/pools/main/blackouts", json=cut(span=span(20, 22))).must(201)
    told = site.nobody.get(path).must(200)
    assert [b["reason"] for b in told["blackouts"]] == ["broken"]
    assert told["segments"][-2]["physical"] == amounts(4, 32768)
    site.nobody.get("/pools/main/timeline").must(422)
    site.nobody.get(f"/pools/nope/timeline?from={DAY}&to=2030-01-09").must(404)


@pytest.mark.parametrize("noun", ["inventory", "blackouts"])
def test_amounts_are_added_listed_changed_and_removed(site: Site, noun: str) -> None:
    made = site.root.post(f"/pools/main/{noun}", json=cut(1, span=span(1, 2)))
    row = made.must(201)
    assert made.headers["Location"].endswith(f"/{noun}/{row['id']}")
    assert row["conflicts"] == []
    assert row["resources"] == amounts(1)
    path = f"/pools/main/{noun}/{row['id']}"
    changed = site.root.patch(path, json={"reason": "longer", "span": span(1, 3)}).must(200)
    assert (changed["reason"], changed["span"], changed["resources"]) == ("longer", span(1, 3), amounts(1))
    listed = site.root.get(f"/pools/main/{noun}").must(200)["items"]
    assert listed[-1]["reason"] == "longer"
    site.root.delete(path).must(204)
    site.root.delete(path).must(404, f"{noun.removesuffix('s')}.not_found")
    site.root.patch(path, json={"reason": "x"}).must(404)
    site.root.post(f"/pools/nope/{noun}", json=cut()).must(404)


def test_a_cut_below_what_is_booked_is_told_then_refused_kept_or_carried_out(site: Site) -> None:
    ann = site.person("ann")
    small, large = ann.book("small", (9, 12)).must(201), ann.book("medium", (9, 12)).must(201)
    dry = site.root.post("/pools/main/blackouts?dry_run=true", json=cut(3)).must(200)
    assert [c["booking"] for c in dry["conflicts"]] == [large["id"]]
    assert site.root.get("/pools/main/blackouts").must(200)["items"] == []
    refusal = site.root.post("/pools/main/blackouts", json=cut(3)).must(409, "capacity.conflict")
    assert refusal["conflicts"] == dry["conflicts"]
    kept = site.root.post("/pools/main/blackouts?on_conflict=keep", json=cut(3)).must(201)
    assert kept["conflicts"] == dry["conflicts"]
    assert ann.get(f"/bookings/{large['id']}").must(200)["reservations"][0]["at_risk"] is True
    assert ann.get(f"/bookings/{small['id']}").must(200)["reservations"][0]["at_risk"] is False
    site.root.delete(f"/pools/main/blackouts/{kept['id']}").must(204)
    assert ann.get(f"/bookings/{large['id']}").must(200)["reservations"][0]["at_risk"] is False
    site.root.post("/pools/main/blackouts?on_conflict=cancel", json=cut(3)).must(201)
    assert ann.get(f"/bookings/{large['id']}").must(200)["state"] == "cancelled"
    assert ann.get(f"/bookings/{small['id']}").must(200)["state"] == "confirmed"


def test_inventory_is_not_taken_from_under_a_booking_unasked(site: Site) -> None:
    site.person("ann").book("large", (9, 12)).must(201)
    (row,) = site.root.get("/pools/main/inventory").must(200)["items"]
    path = f"/pools/main/inventory/{row['id']}"
    assert site.root.delete(f"{path}?dry_run=true").must(200)["conflicts"]
    site.root.delete(path).must(409, "capacity.conflict")
    less = {"resources": {"cores": 4, "memory_mib": 32768}}
    assert site.root.patch(f"{path}?dry_run=true", json=less).must(200)["conflicts"]
    site.root.patch(path, json=less).must(409, "capacity.conflict")
    assert site.root.get("/pools/main/inventory").must(200)["items"] == [row]


BAD_AMOUNTS: list[tuple[dict[str, Any], str]] = [
    ({"resources": {}}, "resources"),
    ({"resources": {"cores": 0}}, "resources"),
    ({"resources": {"cores": 10**9 + 1}}, "resources.cores"),
    ({"resources": {"cores": 2.5}}, "resources.cores"),
    ({"resources": [1]}, "resources"),
    ({"span": {"start": at(3), "end": at(2)}}, "span.end"),
    ({"span": {"start": at(3)}}, "span.end"),
    ({"span": {"start": None, "end": None}}, "span.start"),
    ({"span": {"start": "2030-01-08T00:00:30Z", "end": None}}, "span.start"),
    ({"reason": ""}, "reason"),
    ({"reason": "x" * 501}, "reason"),
]


def test_an_amount_that_cannot_be_is_refused_by_field(site: Site) -> None:
    for change, field in BAD_AMOUNTS:
        assert field in site.root.post("/pools/main/inventory", json=cut() | change).must(422)["errors"], (
            change
        )


def test_only_an_administrator_changes_what_exists(site: Site) -> None:
    for caller, status in ((site.person("ann"), 403), (site.nobody, 401)):
        caller.post("/pools", json={"name": "p", "timezone": "UTC", "granularity": "hour"}).must(status)
        caller.patch("/pools/main", json={"name": "x"}).must(status)
        for noun in ("inventory", "blackouts"):
            caller.get(f"/pools/main/{noun}").must(status)
            caller.post(f"/pools/main/{noun}", json=cut()).must(status)
            caller.patch(f"/pools/main/{noun}/x", json={}).must(status)
            caller.delete(f"/pools/main/{noun}/x").must(status)
    weak = site.person("root", "bookings:write")
    weak.post("/pools/main/inventory", json=cut()).must(403, "auth.forbidden")
