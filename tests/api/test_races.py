"""Many at once against a real server: one promise for one unit, one booking for one key."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import Flask

from tests.api.support import Caller, Site, wish
from tests.support.served import served
from tests.support.threads import PATIENCE, in_threads


def all_at_once(
    url: str, calls: Sequence[tuple[Caller, dict[str, Any], dict[str, str]]]
) -> list[tuple[int, Any]]:
    """Post bookings from as many threads over as many connections; the answers in the order of the calls."""
    answers: dict[int, tuple[int, Any]] = {}
    start = threading.Barrier(len(calls), timeout=PATIENCE)
    host = urlsplit(url).netloc

    def call(number: int) -> Callable[[], None]:
        caller, body, headers = calls[number]

        def act() -> None:
            connection = http.client.HTTPConnection(host, timeout=PATIENCE)
            connection.connect()
            start.wait()
            sent = headers | {"Authorization": f"Bearer {caller.token}", "Content-Type": "application/json"}
            connection.request("POST", "/api/v1/bookings", json.dumps(body), sent)
            response = connection.getresponse()
            answers[number] = (response.status, json.loads(response.read()))
            connection.close()

        return act

    in_threads(*(call(number) for number in range(len(calls))))
    return [answers[number] for number in range(len(calls))]


def test_of_sixteen_who_want_the_last_unit_one_gets_it_and_the_others_are_told_what_they_can_have(
    site: Site, app: Flask
) -> None:
    people = [site.person(f"p{number}") for number in range(16)]
    body = wish("large", (9, 12))
    with served(app) as url:
        answers = all_at_once(url, [(person, body, {}) for person in people])
    assert Counter(status for status, _ in answers) == {201: 1, 409: 15}
    taken = site.root.get("/bookings?account=*").must(200)["items"]
    assert len(taken) == 1
    for person, (status, answer) in zip(people, answers, strict=True):
        if status == 409:
            assert answer["code"] in ("booking.no_capacity", "booking.concurrent_update")
            assert answer["alternatives"]
            for alternative in answer["alternatives"]:
                booked = person.post("/bookings", json=alternative["request"]).must(201)
                person.delete(f"/bookings/{booked['id']}").must(204)


def test_the_same_key_from_eight_clients_makes_one_booking(site: Site, app: Flask) -> None:
    ann = site.person("ann")
    with served(app) as url:
        answers = all_at_once(url, [(ann, wish("tiny"), {"Idempotency-Key": "one"})] * 8)
    assert [status for status, _ in answers] == [201] * 8
    assert all(answer == answers[0][1] for _, answer in answers)
    assert len(ann.get("/bookings").must(200)["items"]) == 1


def test_what_is_never_oversold_is_sold_to_the_last_core(site: Site, app: Flask) -> None:
    people = [site.person(f"p{number}") for number in range(12)]
    with served(app) as url:
        answers = all_at_once(url, [(person, wish("tiny", (9, 10)), {}) for person in people])
    assert Counter(status for status, _ in answers) == {201: 8, 409: 4}
    hour = "/availability?from=2030-01-08T09:00:00Z&to=2030-01-08T10:00:00Z&granularity=hour&package=tiny"
    (row,) = site.nobody.get(hour).must(200)["packages"]
    assert row["cells"][0]["count"] == 0
