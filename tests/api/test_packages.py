"""Packages over HTTP: versions that never change."""

from __future__ import annotations

from typing import Any

from tests.api.support import Site

SIZE: dict[str, Any] = {
    "name": "huge",
    "notebook": {"cores": 2, "memory_mib": 4096},
    "worker": {"cores": 3, "memory_mib": 2048, "count": 4},
    "lead_time": "PT5M",
}


def test_packages_are_listed_smallest_first_with_their_demand(site: Site) -> None:
    made = site.root.post("/packages", json=SIZE)
    assert made.must(201) == SIZE | {
        "version": 1,
        "demand": {"cores": 14, "memory_mib": 12288, "gpus": 0, "disk_gib": 0},
    }
    assert made.headers["Location"] == "/api/v1/packages/huge"
    listed = site.nobody.get("/packages").must(200)
    assert [p["name"] for p in listed["items"]] == ["tiny", "small", "medium", "large", "huge"]
    assert listed["next"] is None
    assert site.nobody.get("/packages/huge").must(200) == made.json


def test_a_known_name_makes_the_next_version_and_what_is_booked_keeps_its_numbers(site: Site) -> None:
    ann = site.person("ann")
    booking = ann.book("small").must(201)
    grown = {
        "name": "small",
        "notebook": {"cores": 2, "memory_mib": 2048},
        "worker": {"cores": 0, "memory_mib": 0},
    }
    assert site.root.post("/packages", json=grown).must(201)["version"] == 2
    assert [
        p["version"] for p in site.nobody.get("/packages").must(200)["items"] if p["name"] == "small"
    ] == [2]
    assert ann.get(f"/bookings/{booking['id']}").must(200)["notebook"] == {"cores": 1, "memory_mib": 1024}


def test_a_retired_package_can_be_booked_no_more(site: Site) -> None:
    site.root.delete("/packages/small").must(204)
    site.root.delete("/packages/small").must(404, "package.not_found")
    site.nobody.get("/packages/small").must(404, "package.not_found")
    assert "package" in site.person("ann").book("small").must(422)["errors"]


BAD_PACKAGES: list[tuple[dict[str, Any], str]] = [
    ({"name": "Huge"}, "name"),
    ({"name": "huge\n"}, "name"),
    ({"name": "x" * 41}, "name"),
    ({"notebook": {"cores": 0, "memory_mib": 1}}, "notebook.cores"),
    ({"notebook": {"cores": 1}}, "notebook.memory_mib"),
    ({"worker": {"cores": 1, "memory_mib": 1, "count": -1}}, "worker.count"),
    ({"worker": None}, "worker"),
    ({"lead_time": "5"}, "lead_time"),
    ({"lead_time": "P8D"}, "lead_time"),
    ({"version": 3}, "version"),
]


def test_a_package_that_cannot_be_is_refused_by_field(site: Site) -> None:
    for change, field in BAD_PACKAGES:
        assert field in site.root.post("/packages", json=SIZE | change).must(422)["errors"], change


def test_only_an_administrator_publishes(site: Site) -> None:
    site.person("ann").post("/packages", json=SIZE).must(403)
    site.nobody.post("/packages", json=SIZE).must(401)
    site.person("ann").delete("/packages/tiny").must(403)
