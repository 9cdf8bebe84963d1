"""The board of a day over HTTP."""

from __future__ import annotations

from tests.api.support import DAY, Site


def test_a_day_is_told_in_four_lists(site: Site) -> None:
    made = site.person("ann").book("small", (9, 12), title="course").must(201)
    board = site.root.get(f"/today?day={DAY}&pool=main").must(200)
    pool = site.nobody.get("/pools/main").must(200)["id"]
    assert (board["day"], board["timezone"], board["pool"], board["is_cut"]) == (DAY, "UTC", pool, False)
    (line,) = board["starts"]
    assert board["ends"] == [line]
    assert board["runs"] == board["failed"] == []
    assert line == {
        "booking": made["id"],
        "reservation": made["reservations"][0]["id"],
        "account": "ann",
        "package": "small",
        "title": "course",
        "pool": "main",
        "timezone": "UTC",
        "start": f"{DAY}T09:00:00Z",
        "end": f"{DAY}T12:00:00Z",
        "state": "confirmed",
        "end_reason": "",
        "at_risk": False,
        "cluster": None,
    }


def test_without_a_day_it_is_today_and_an_instant_names_its_day(site: Site) -> None:
    assert site.root.get("/today").must(200)["day"] == "2030-01-07"
    assert site.root.get(f"/today?day={DAY}T23:30:00Z").must(200)["day"] == DAY


def test_only_an_administrator_reads_it(site: Site) -> None:
    site.person("ann").get("/today").must(403, "auth.forbidden")
    site.root.get("/today?pool=moon").must(404, "pool.not_found")
    assert "day" in site.root.get("/today?day=soon").must(422)["errors"]
