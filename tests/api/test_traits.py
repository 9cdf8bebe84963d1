"""Custom sharing chooses platform and hardware: only pools with the wanted traits are offered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.api.support import DAY, Caller, Site, at, wish
from tests.support.doors import TestClock

WEEK = f"from={DAY}&to=2030-01-10&sharing=custom"


@pytest.fixture
def ann(site: Site, clock: TestClock) -> Caller:
    """Somebody, where beside the first pool are one with gpu and ssd, and one whose platform has fpga."""
    site.root.post("/platforms", json={"name": "far", "traits": ["fpga"]}).must(201)
    pool = {"timezone": "UTC", "granularity": "hour"}
    for name, more in (
        ("fast", {"traits": ["gpu", "ssd"]}),
        ("distant", {"platform": "far", "traits": ["ssd"]}),
    ):
        clock.advance(timedelta(seconds=1))
        site.root.post("/pools", json=pool | {"name": name} | more).must(201)
        row = {"span": {"start": "2030-01-01T00:00:00Z", "end": None}, "resources": amounts(), "reason": "x"}
        site.root.post(f"/pools/{name}/inventory", json=row).must(201)
    return site.person("ann")


def amounts() -> dict[str, int]:
    return {"cores": 8, "memory_mib": 8192}


def wanting(*traits: str, **more: Any) -> dict[str, Any]:
    return wish("small") | {"sharing": "custom", "traits": list(traits)} | more


@pytest.mark.parametrize(
    "traits, pool",
    [
        (["gpu"], "fast"),
        (["ssd"], "fast"),
        (["ssd", "gpu"], "fast"),
        (["fpga"], "distant"),
        (["far", "ssd"], "distant"),
        ([], "main"),
    ],
)
def test_the_first_pool_that_has_them_all_is_booked(ann: Caller, traits: list[str], pool: str) -> None:
    made = ann.post("/bookings", json=wanting(*traits)).must(201)
    assert (made["pool"]["name"], made["sharing"]) == (pool, "custom")


def test_a_pool_that_lacks_one_is_refused_by_the_rule_and_the_others_are_named(ann: Caller) -> None:
    refusal = ann.post("/bookings", json=wanting("gpu", pool="main")).must(403, "policy.traits_missing")
    rule = refusal["rule"]
    assert (rule["name"], rule["have"], rule["passes"]) == ("policy.traits_missing", ["gpu"], ["fast"])
    assert "gpu" not in rule["limit"]
    assert "fast would do" in refusal["detail"]
    assert refusal["alternatives"], "the same on a pool that has it"
    for alternative in refusal["alternatives"]:
        made = ann.post("/bookings", json=alternative["request"]).must(201)
        assert made["pool"]["name"] == "fast"
        ann.delete(f"/bookings/{made['id']}").must(204)


def test_what_no_pool_has_is_refused_and_nothing_else_is_offered(ann: Caller) -> None:
    refusal = ann.post("/bookings", json=wanting("gpu", "fpga")).must(403, "policy.traits_missing")
    assert refusal["detail"] == "No pool has fpga and gpu."
    assert (refusal["rule"]["passes"], refusal["alternatives"]) == ([], [])
    assert {"gpu", "fpga", "ssd", "far"} <= set(refusal["rule"]["limit"])
    ann.post("/bookings?dry_run=true", json=wanting("gpu", "fpga")).must(403, "policy.traits_missing")


def test_where_it_is_full_only_pools_that_have_them_are_offered(ann: Caller) -> None:
    for _ in range(4):
        ann.post("/bookings", json=wanting("gpu")).must(201)
    refusal = ann.post("/bookings", json=wanting("gpu")).must(409, "booking.no_capacity")
    fast = ann.get("/pools/fast").must(200)["id"]
    assert {alternative["request"]["pool"] for alternative in refusal["alternatives"]} == {fast}


def test_they_are_for_custom_sharing_alone(ann: Caller) -> None:
    for sharing in ("reserved", "shared"):
        problem = ann.post("/bookings", json=wanting("gpu", sharing=sharing)).must(422)
        assert problem["errors"] == {"traits": ["are only for the sharing custom"]}
    ann.get(f"/availability?from={DAY}&to=2030-01-10&trait=gpu").must(422)


def test_an_unknown_pool_is_not_there_whatever_it_shall_have(ann: Caller) -> None:
    assert ann.post("/bookings", json=wanting("gpu", pool="nope")).must(422)["errors"].keys() == {"pool"}


def test_what_is_free_is_told_of_the_pool_that_has_them(site: Site, ann: Caller) -> None:
    fast = site.nobody.get("/pools/fast").must(200)["id"]
    free = site.nobody.get(f"/availability?{WEEK}&trait=gpu&trait=ssd").must(200)
    assert free["pool"] == fast
    slots = site.nobody.get("/slots?package=small&duration=PT1H&sharing=custom&trait=gpu").must(200)
    assert slots["pool"] == fast
    site.nobody.get(f"/availability?{WEEK}&trait=nope").must(403, "policy.traits_missing")
    site.nobody.get("/slots?package=small&duration=PT1H&sharing=custom&trait=nope").must(
        403, "policy.traits_missing"
    )


def test_who_waits_waits_for_the_pool_that_has_them(ann: Caller) -> None:
    for _ in range(4):
        ann.post("/bookings", json=wanting("gpu")).must(201)
    (entry,) = ann.post("/waitlist", json=wanting("gpu")).must(201)["items"]
    assert entry["pool"]["name"] == "fast"
    assert (entry["start"], entry["end"]) == (at(9), at(12))
