"""What is free over HTTP: cells, slots, and answers that need not be sent again."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask

from booking import create_app
from booking.config import Settings
from booking.doors import Doors
from tests.api.support import DAY, Caller, Site, at, span

WINDOW = f"from={DAY}&to=2030-01-10"
CUSTOM = "notebook_cores=1&notebook_memory_mib=512&worker_cores=3&worker_memory_mib=512"


def counts(answer: dict[str, Any]) -> dict[str, list[tuple[int, int]]]:
    return {row["package"]: [(c["count"], c["best"]) for c in row["cells"]] for row in answer["packages"]}


def test_a_cell_counts_what_fits_for_all_of_it_and_at_its_best_moment(site: Site) -> None:
    site.person("ann").book("medium", (9, 12)).must(201)
    answer = site.nobody.get(f"/availability?{WINDOW}").must(200)
    assert (answer["timezone"], answer["granularity"], answer["sharing"]) == ("UTC", "day", "reserved")
    assert counts(answer) == {
        "tiny": [(4, 8), (8, 8)],
        "small": [(2, 4), (4, 4)],
        "medium": [(1, 2), (2, 2)],
        "large": [(0, 1), (1, 1)],
    }
    assert [cell["start"] for cell in answer["packages"][0]["cells"]] == [at(0), "2030-01-09T00:00:00Z"]
    hours = site.nobody.get(f"/availability?from={at(8)}&to={at(10)}&granularity=hour&package=large").must(
        200
    )
    assert hours["packages"] == [
        {
            "package": "large",
            "version": 1,
            "cells": [span(8, 9) | {"count": 1, "best": 1}, span(9, 10) | {"count": 0, "best": 0}],
        }
    ]


def test_packages_are_chosen_by_repeating_them_and_custom_has_its_numbers(site: Site) -> None:
    answer = site.nobody.get(f"/availability?{WINDOW}&package=small&package=custom&{CUSTOM}").must(200)
    assert counts(answer) == {"small": [(4, 4)] * 2, "custom": [(2, 2)] * 2}
    site.nobody.get(f"/availability?{WINDOW}&package=custom").must(422)
    site.nobody.get(f"/availability?{WINDOW}&package=small&{CUSTOM}").must(422)
    site.nobody.get(f"/availability?{WINDOW}&package=small&package=small").must(422)
    site.nobody.get(f"/availability?{WINDOW}&package=nope").must(404, "package.not_found")
    site.nobody.get(f"/availability?{WINDOW}&pool=nope").must(404, "pool.not_found")


def test_dates_are_days_of_the_zone_that_is_asked_for(site: Site) -> None:
    answer = site.nobody.get("/availability?from=2030-03-30&to=2030-04-01&timezone=Europe/Berlin").must(200)
    cells = answer["packages"][0]["cells"]
    assert [cell["start"] for cell in cells] == ["2030-03-29T23:00:00Z", "2030-03-30T23:00:00Z"]
    assert cells[-1]["end"] == "2030-03-31T22:00:00Z"
    site.nobody.get(f"/availability?{WINDOW}&timezone=Mars/Olympus").must(422)


BAD_QUESTIONS: list[tuple[str, str]] = [
    ("", "from"),
    ("from=2030-01-08", "to"),
    ("from=2030-01-08&to=2030-01-08", "to"),
    ("from=2030-01-08T00:00:00&to=2030-01-09", "from"),
    ("from=2030-01-08T00:00:00+01:00&to=2030-01-09", "from"),
    ("from=2030-02-30&to=2030-03-01", "from"),
    ("from=1850-01-01&to=2030-03-01", "from"),
    ("from=2030-01-01&to=2045-01-01", "to"),
    ("from=2030-01-01&to=2031-01-01&granularity=hour", "to"),
    (f"{WINDOW}&granularity=week", "granularity"),
    (f"{WINDOW}&zone=UTC", "zone"),
    (f"{WINDOW}&pool=a&pool=b", "pool"),
    (f"{WINDOW}&pool=%00", "pool"),
    (f"{WINDOW}&package=custom&{CUSTOM}&worker_count=x", "worker_count"),
    (f"{WINDOW}&package=custom&{CUSTOM}&worker_count=9999999999999999999999", "worker_count"),
]


def test_a_question_that_cannot_be_understood_names_its_field(site: Site) -> None:
    for query, field in BAD_QUESTIONS:
        assert field in site.nobody.get(f"/availability?{query}").must(422)["errors"], query


def test_a_question_that_was_wrong_once_is_wrong_again(site: Site) -> None:
    for _ in range(2):
        assert "zone" in site.nobody.get(f"/availability?{WINDOW}&zone=UTC").must(422)["errors"]
        site.nobody.get(f"/availability?{WINDOW}").must(200)


def test_an_unchanged_answer_is_not_sent_again(site: Site) -> None:
    first = site.nobody.get(f"/availability?{WINDOW}")
    first.must(200)
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= {part.strip() for part in first.headers["Vary"].split(",")}
    same = {"If-None-Match": first.etag}
    again = site.nobody.get(f"/availability?{WINDOW}", headers=same)
    assert (again.status, again.response.data, again.etag) == (304, b"", first.etag)
    assert "Content-Language" not in again.headers, "it is no page"
    assert site.nobody.get("/availability?from=2030-01-08&to=2030-01-11", headers=same).status == 200
    site.person("ann").book().must(201)
    changed = site.nobody.get(f"/availability?{WINDOW}", headers=same)
    assert changed.must(200)["generation"] == first.json["generation"] + 1


def test_level_0_sees_what_is_set_aside_for_it(site: Site) -> None:
    site.root.patch("/pools/main", json={"level0_reserve": {"cores": 3, "memory_mib": 8192}}).must(200)
    visitor = Caller(site.app, site.nobody.post("/accounts/try").must(201)["token"])
    query = f"/availability?{WINDOW}&package=tiny&sharing=shared"
    theirs, everybodys = visitor.get(query), site.nobody.get(query)
    assert counts(theirs.must(200)) == {"tiny": [(3, 3)] * 2}
    assert counts(everybodys.must(200)) == {"tiny": [(5, 5)] * 2}
    assert theirs.etag != everybodys.etag


def test_the_earliest_spans_come_in_order(site: Site) -> None:
    site.person("ann").book("large", (10, 12)).must(201)
    answer = site.nobody.get(f"/slots?package=large&duration=PT3H&from={at(8)}&limit=2").must(200)
    assert answer["items"] == [span(12, 15), span(13, 16)]
    assert answer["next"] is None
    first = site.nobody.get("/slots?package=large&duration=PT3H&limit=1").must(200)["items"]
    assert first == [{"start": "2030-01-07T09:00:00Z", "end": "2030-01-07T12:00:00Z"}]
    custom = site.nobody.get(f"/slots?package=custom&duration=P1D&limit=1&{CUSTOM}&worker_count=2").must(200)
    assert len(custom["items"]) == 1
    for wrong in ("duration=6", "duration=PT0S", "duration=P1M", "duration=P5000D", "duration=PT1H&limit=0"):
        site.nobody.get(f"/slots?package=large&{wrong}").must(422)
    spaced = site.nobody.get("/slots?package=large&duration=PT3H&from=2030-01-08T00:00:00+01:00").must(422)
    assert "%2B" in spaced["errors"]["from"][0]
    site.nobody.get("/slots?package=nope&duration=PT1H").must(404)


def test_twenty_thousand_cells_are_answered_and_one_more_is_refused(site: Site) -> None:
    query = "/availability?from=2030-01-08T00:00:00Z&granularity=hour&package=tiny&to="
    answer = site.nobody.get(f"{query}2032-04-20T08:00:00Z").must(200)
    assert len(answer["packages"][0]["cells"]) == 20_000
    site.nobody.get(f"{query}2032-04-20T09:00:00Z").must(422)


def test_what_is_free_may_be_kept_to_those_who_are_known(site: Site, doors: Doors) -> None:
    home = site.ctx.settings.home
    closed = create_app(
        Settings(home=home, provisioner="null", secret_key="s" * 32, public_availability=False), doors
    )
    reader, writer = site.person("ann", "availability:read"), site.person("ann", "bookings:write")
    paths = (
        f"/availability?{WINDOW}",
        "/packages",
        "/packages/tiny",
        "/pools",
        "/pools/main",
        "/slots?package=tiny&duration=PT1H",
        f"/pools/main/timeline?{WINDOW}",
    )
    for path in paths:
        assert site.nobody.get(path).status == 200
        Caller(closed).get(path).must(401, "auth.required")
        Caller(closed, writer.token).get(path).must(403, "auth.forbidden")
        assert Caller(closed, reader.token).get(path).status == 200


def test_the_answer_made_by_hand_is_the_json_that_a_serialiser_would_make(site: Site, app: Flask) -> None:
    text = site.nobody.get(f"/availability?{WINDOW}").response.get_data(as_text=True)
    assert json.dumps(json.loads(text), separators=(",", ":")) == text
