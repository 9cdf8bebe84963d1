"""Usage and refused demand over HTTP, in JSON and for spreadsheets."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from tests.api.support import DAY, Answer, Site
from tests.support.doors import TestClock

WEEK = "from=2030-01-07&to=2030-01-14"


def lines(answer: Answer) -> list[list[str]]:
    assert answer.status == 200
    assert answer.response.mimetype == "text/csv"
    return list(csv.reader(io.StringIO(answer.response.get_data(as_text=True))))


@pytest.fixture
def busy(site: Site) -> Site:
    """Two cores are booked for three hours by one and four for one hour by another; a third got nothing."""
    site.person("ann").book("small", (9, 12)).must(201)
    site.person("bob").book("medium", (10, 11)).must(201)
    site.person("zoe").book("large", (10, 12)).must(409)
    return site


def test_each_day_tells_what_is_booked_used_and_idle_beside_what_exists(busy: Site, clock: TestClock) -> None:
    clock.advance(timedelta(hours=25, minutes=30))  # DAY, half past ten: nobody made the clusters
    found = busy.root.get(f"/usage?{WEEK}").must(200)
    assert (found["timezone"], found["granularity"], found["by"]) == ("UTC", "day", "package")
    assert [cell["start"] for cell in found["cells"]][:2] == ["2030-01-07T00:00:00Z", f"{DAY}T00:00:00Z"]
    empty, full = found["cells"][:2]
    assert empty == {
        "start": "2030-01-07T00:00:00Z",
        "end": f"{DAY}T00:00:00Z",
        "physical": 192,
        "booked": 0,
        "used": 0,
        "idle": 0,
        "keys": [],
    }
    assert (full["booked"], full["used"], full["idle"]) == (10, 0, 5)
    assert full["keys"] == [
        {"key": "medium", "booked": 4, "used": 0, "idle": 2},
        {"key": "small", "booked": 6, "used": 0, "idle": 3},
    ]


def test_weeks_and_months_are_counted_whole(busy: Site) -> None:
    (week,) = busy.root.get(f"/usage?from={DAY}&to=2030-01-09&granularity=week").must(200)["cells"]
    assert (week["start"], week["end"]) == ("2030-01-07T00:00:00Z", "2030-01-14T00:00:00Z")
    (month,) = busy.root.get(f"/usage?from={DAY}&to=2030-01-09&granularity=month").must(200)["cells"]
    assert (month["start"], month["end"]) == ("2030-01-01T00:00:00Z", "2030-02-01T00:00:00Z")
    assert week["booked"] == month["booked"] == 10
    assert month["physical"] == 31 * 24 * 8


def test_one_sees_ones_own_and_an_administrator_everybodys(busy: Site) -> None:
    def keys(name: str, by: str) -> list[str]:
        found = busy.callers[name].get(f"/usage?{WEEK}&by={by}").must(200)
        return [key["key"] for cell in found["cells"] for key in cell["keys"]]

    assert keys("ann", "package") == ["small"]
    assert keys("ann", "group") == []
    assert keys("root", "account") == ["ann", "bob"]
    assert keys("root", "group") == [None]
    busy.callers["ann"].get(f"/usage?{WEEK}&by=account").must(403)
    busy.nobody.get(f"/usage?{WEEK}").must(401)
    busy.person("ann", "availability:read").get(f"/usage?{WEEK}").must(403)


def test_what_was_refused_is_told_by_package_and_week(busy: Site) -> None:
    refused = {
        "start": "2030-01-07T00:00:00Z",
        "end": "2030-01-14T00:00:00Z",
        "package": "large",
        "refused": 16,
        "count": 1,
    }
    assert busy.root.get(f"/usage/refused?{WEEK}").must(200)["weeks"] == [refused]
    assert busy.callers["zoe"].get(f"/usage/refused?{WEEK}").must(200)["weeks"] == [refused]
    assert busy.callers["ann"].get(f"/usage/refused?{WEEK}").must(200)["weeks"] == []
    later = "from=2030-01-14&to=2030-01-21"
    assert busy.root.get(f"/usage/refused?{later}").must(200)["weeks"] == []


def test_a_dry_run_is_no_demand(busy: Site) -> None:
    body = {
        "package": "large",
        "sharing": "reserved",
        "spans": [{"start": f"{DAY}T10:00:00Z", "end": f"{DAY}T11:00:00Z"}],
    }
    busy.callers["ann"].post("/bookings?dry_run=true", json=body).must(409)
    assert busy.callers["ann"].get(f"/usage/refused?{WEEK}").must(200)["weeks"] == []


def test_a_spreadsheet_gets_a_line_of_names_and_no_cell_is_missing(busy: Site) -> None:
    head, *rows = lines(busy.root.get(f"/usage?{WEEK}&format=csv"))
    assert head == ["start", "end", "key", "booked", "used", "idle", "physical"]
    assert len(rows) == 8
    assert rows[0][2:] == ["", "0.0", "0.0", "0.0", "192.0"]
    assert [row[2:4] for row in rows[1:3]] == [["medium", "4.0"], ["small", "6.0"]]
    asked = lines(busy.root.get(f"/usage?{WEEK}", headers={"Accept": "text/csv"}))
    assert asked == [head, *rows]
    refused = lines(busy.root.get(f"/usage/refused?{WEEK}&format=csv"))
    assert refused == [
        ["start", "end", "package", "refused", "count"],
        ["2030-01-07T00:00:00Z", "2030-01-14T00:00:00Z", "large", "16.0", "1"],
    ]


def test_json_is_the_answer_where_nothing_else_is_asked_for(busy: Site) -> None:
    for accept in ("*/*", "application/json", "text/html,*/*;q=0.8"):
        found = busy.root.get(f"/usage?{WEEK}", headers={"Accept": accept})
        assert found.response.mimetype == "application/json"
    both = busy.root.get(f"/usage?{WEEK}&format=json", headers={"Accept": "text/csv"})
    assert both.response.mimetype == "application/json"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum"])
def test_no_name_acts_in_a_spreadsheet(site: Site, name: str) -> None:
    site.person(name).book("small").must(201)
    rows = lines(site.root.get(f"/usage?{WEEK}&by=account&format=csv"))
    assert [row[2] for row in rows if row[2]] == ["key", f"'{name}"]


@pytest.mark.parametrize(
    "query, field",
    [
        ("from=2030-01-07", "to"),
        ("from=2030-01-14&to=2030-01-07", "to"),
        ("from=2030-01-07&to=2060-01-07", "to"),
        (f"{WEEK}&by=colour", "by"),
        (f"{WEEK}&granularity=hour", "granularity"),
        (f"{WEEK}&format=pdf", "format"),
        (f"{WEEK}&x=1", "x"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_by_its_field(
    site: Site, query: str, field: str
) -> None:
    assert field in site.root.get(f"/usage?{query}").must(422)["errors"]
    assert site.root.get(f"/usage?{WEEK}&pool=nowhere").must(404, "pool.not_found")
