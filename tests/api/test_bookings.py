"""Bookings over HTTP: promised, refused with alternatives, repeated, changed, cancelled."""

from __future__ import annotations

from datetime import timedelta

import pytest

from booking.api.paging import cursor_of
from tests.api.support import DAY, Answer, Caller, Site, at, span, wish
from tests.support.doors import TestClock


def test_a_booking_is_promised_listed_and_read(site: Site) -> None:
    ann = site.person("ann")
    made = ann.book("small", (9, 12), (14, 16), title="night run", notebook_url="https://example.org/n.ipynb")
    booking = made.must(201)
    assert made.headers["Location"] == f"/api/v1/bookings/{booking['id']}"
    assert made.etag == '"1"'
    assert booking["account"] == "ann"
    assert booking["state"] == "confirmed"
    assert booking["pool"]["name"] == "main"
    assert booking["package"] == "small"
    assert booking["demand"] == {"cores": 2, "memory_mib": 2048, "gpus": 0, "disk_gib": 0}
    assert [(r["start"], r["end"], r["state"], r["cluster"]) for r in booking["reservations"]] == [
        (at(9), at(12), "confirmed", None),
        (at(14), at(16), "confirmed", None),
    ]
    assert ann.get(f"/bookings/{booking['id']}").must(200) == booking
    assert ann.get("/bookings").must(200) == {"items": [booking], "next": None}


def test_all_spans_or_none_are_booked(site: Site) -> None:
    ann = site.person("ann")
    ann.book("large", (14, 15)).must(201)
    ann.book("small", (9, 10), (14, 15)).must(409, "booking.no_capacity")
    assert len(ann.get("/bookings").must(200)["items"]) == 1


def test_a_refusal_carries_alternatives_that_can_be_booked(site: Site) -> None:
    ann, ben = site.person("ann"), site.person("ben")
    ann.book("large", (9, 12)).must(201)
    refusal = ben.book("large", (10, 12), title="mine").must(409, "booking.no_capacity")
    assert 1 <= len(refusal["alternatives"]) <= 4
    for alternative in refusal["alternatives"]:
        booked = ben.post("/bookings", json=alternative["request"])
        booking = booked.must(201)
        assert booking["title"] == "mine"
        ben.delete(f"/bookings/{booking['id']}").must(204)


def test_a_policy_refusal_says_which_rule_and_what_would_pass(site: Site) -> None:
    cleo = site.person("cleo", level=1)
    site.root.patch("/levels/1", json={"limits": {"max_length": "PT2H"}}).must(200)
    refusal = cleo.book("small", (9, 12)).must(403, "policy.too_long")
    assert refusal["rule"] == {"name": "policy.too_long", "limit": "PT2H", "have": "PT3H", "passes": "PT2H"}
    shorter = refusal["alternatives"][0]
    assert shorter["kind"] == "shorter"
    cleo.post("/bookings", json=shorter["request"]).must(201)


def test_a_repeated_key_answers_the_same_booking_and_another_body_is_refused(site: Site) -> None:
    ann = site.person("ann")
    key = {"Idempotency-Key": "run 7"}
    first = ann.post("/bookings", json=wish(), headers=key)
    body = first.must(201)
    ann.patch(f"/bookings/{body['id']}", json={"title": "changed"}, headers={"If-Match": "*"}).must(200)
    again = ann.post("/bookings", json=wish(), headers=key)
    assert again.must(201) == body
    assert (again.headers["Location"], again.etag) == (first.headers["Location"], first.etag)
    assert len(ann.get("/bookings").must(200)["items"]) == 1
    ann.post("/bookings", json=wish(title="x"), headers=key).must(422, "request.idempotency_mismatch")
    site.person("ben").post("/bookings", json=wish(), headers=key).must(201)


def test_a_key_is_forgotten_after_a_day(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    key = {"Idempotency-Key": "k"}
    body = wish("tiny")
    body["spans"] = [{"start": "2030-02-01T09:00:00Z", "end": "2030-02-01T10:00:00Z"}]
    first = ann.post("/bookings", json=body, headers=key).must(201)
    clock.advance(timedelta(hours=23, minutes=59))
    assert ann.post("/bookings", json=body, headers=key).must(201)["id"] == first["id"]
    clock.advance(timedelta(minutes=1))
    assert ann.post("/bookings", json=body, headers=key).must(201)["id"] != first["id"]


@pytest.mark.parametrize("key", ["", "k" * 256, "k\u00e9", "tab\there"])
def test_a_key_is_printable_and_short(site: Site, key: str) -> None:
    answer = site.person("ann").post("/bookings", json=wish(), headers={"Idempotency-Key": key})
    assert answer.must(422, "request.invalid")["errors"].keys() == {"Idempotency-Key"}


def test_a_dry_run_decides_everything_and_writes_nothing(site: Site) -> None:
    dora = site.person("dora", level=1)
    dora.book("small", (7, 8)).must(201)
    decision = dora.post("/bookings?dry_run=true", json=wish("large", (9, 12))).must(200)
    assert decision["package"] == "large"
    assert decision["demand"]["cores"] == 8
    assert decision["spans"] == [span(9, 12)]
    quota = decision["quota"]
    assert (quota["limit"], quota["used"], quota["cost"], quota["left"]) == (1000, 2.0, 24.0, 974.0)
    assert len(dora.get("/bookings").must(200)["items"]) == 1
    site.person("ann").book("large", (9, 12)).must(201)
    refusal = dora.post("/bookings?dry_run=true", json=wish("large", (9, 12))).must(409)
    assert refusal["alternatives"]


def test_a_custom_package_is_booked_by_its_numbers(site: Site) -> None:
    ann = site.person("ann")
    sizes = {"notebook_cores": 1, "notebook_memory_mib": 100, "worker_cores": 2, "worker_memory_mib": 200}
    booking = ann.book("custom", custom=sizes | {"worker_count": 3}).must(201)
    assert booking["custom"] == sizes | {"worker_count": 3}
    assert booking["demand"] == {"cores": 7, "memory_mib": 700, "gpus": 0, "disk_gib": 0}
    ann.book("custom").must(422)
    ann.book("small", custom=sizes).must(422)


def test_a_hold_counts_until_it_expires_and_becomes_a_booking_when_confirmed(
    site: Site, clock: TestClock
) -> None:
    ann = site.person("ann")
    held = ann.book("large", (9, 10), hold=True).must(201)
    assert held["state"] == "held"
    assert held["reservations"][0]["expires_at"] == "2030-01-07T09:15:00Z"
    ann.book("large", (9, 10)).must(409)
    confirmed = ann.post(f"/bookings/{held['id']}/confirm")
    assert confirmed.must(200)["state"] == "confirmed"
    assert ann.post(f"/bookings/{held['id']}/confirm").must(200)["state"] == "confirmed"
    late = ann.book("large", (11, 12), hold="PT5M").must(201)
    clock.advance(timedelta(minutes=5))
    assert ann.get(f"/bookings/{late['id']}").must(200)["state"] == "expired"
    ann.post(f"/bookings/{late['id']}/confirm").must(409, "booking.conflict")
    ann.book("large", (11, 12), hold=False).must(201)


BAD_HOLDS: list[object] = ["PT0S", "PT25H", "P1Y", "soon", 5, None]


def test_a_hold_is_a_length_of_at_most_a_day(site: Site) -> None:
    for hold in BAD_HOLDS:
        assert "hold" in site.person("ann").book("tiny", hold=hold).must(422)["errors"]


def test_a_change_needs_the_state_it_was_made_from(site: Site) -> None:
    ann = site.person("ann")
    booking = ann.book("small", (9, 12)).must(201)
    path, (reservation,) = f"/bookings/{booking['id']}", booking["reservations"]
    ann.patch(path, json={"title": "x"}).must(428, "request.precondition_required")
    later = {"reservations": [{"id": reservation["id"], "end": at(14)}]}
    dry = ann.patch(f"{path}?dry_run=true", json=later, headers={"If-Match": '"1"'}).must(200)
    assert dry["reservations"][0]["end"] == at(14)
    assert ann.get(path).must(200) == booking
    extended = ann.patch(path, json=later, headers={"If-Match": '"1"'})
    assert extended.must(200)["reservations"][0]["end"] == at(14)
    assert extended.etag == '"2"'
    for stale in ('"1"', '"abc"', 'W/"2"', '"99999999999999999999"', "2", ""):
        ann.patch(path, json={"title": "x"}, headers={"If-Match": stale}).must(412, "request.stale")
    by_id = {"reservations": {reservation["id"]: {"end": at(10)}}}
    shortened = ann.patch(path, json=by_id, headers={"If-Match": "*"}).must(200)
    assert shortened["reservations"][0]["end"] == at(10)
    single = f"{path}/reservations/{reservation['id']}"
    assert ann.patch(single, json={"end": at(11)}, headers={"If-Match": "*"}).must(200)["revision"] == 4
    ann.patch(f"{path}/reservations/none", json={"end": at(11)}, headers={"If-Match": "*"}).must(404)
    titled = ann.patch(
        path, json={"title": "t", "notebook_url": "https://a.example/x"}, headers={"If-Match": "*"}
    )
    assert titled.must(200)["notebook_url"] == "https://a.example/x"
    assert ann.patch(path, json={"notebook_url": None}, headers={"If-Match": "*"}).must(200)["title"] == "t"
    assert ann.get(path).must(200)["notebook_url"] is None


def test_an_extension_into_what_is_taken_is_refused(site: Site) -> None:
    ann = site.person("ann")
    booking = ann.book("large", (9, 10)).must(201)
    site.person("ben").book("small", (11, 12)).must(201)
    path = f"/bookings/{booking['id']}/reservations/{booking['reservations'][0]['id']}"
    ann.patch(path, json={"end": at(12)}, headers={"If-Match": "*"}).must(409, "booking.no_capacity")
    ann.patch(path, json={"end": at(11)}, headers={"If-Match": "*"}).must(200)


def test_a_cancelled_booking_gives_its_time_back_and_stays_cancelled(site: Site) -> None:
    ann = site.person("ann")
    booking = ann.book("large", (9, 12)).must(201)
    path = f"/bookings/{booking['id']}"
    ann.delete(path, headers={"If-Match": '"7"'}).must(412)
    ann.delete(path).must(204)
    ann.delete(path).must(204)
    assert ann.get(path).must(200)["state"] == "cancelled"
    site.person("ben").book("large", (9, 12)).must(201)
    ann.patch(
        path,
        json={"reservations": {booking["reservations"][0]["id"]: {"end": at(13)}}},
        headers={"If-Match": "*"},
    ).must(409, "booking.conflict")


def test_somebody_elses_booking_is_not_there(site: Site) -> None:
    booking = site.person("ann").book().must(201)
    ben, path = site.person("ben"), f"/bookings/{booking['id']}"
    ben.get(path).must(404, "booking.not_found")
    ben.patch(path, json={"title": "x"}, headers={"If-Match": "*"}).must(404)
    ben.delete(path).must(404)
    ben.post(f"{path}/confirm").must(404)
    ben.put(f"{path}/guests/ben").must(404)
    ben.get(f"{path}/history").must(404)
    ben.get("/bookings?account=ann").must(403)
    assert ben.get("/bookings").must(200)["items"] == []
    assert site.root.get(path).must(200)["id"] == booking["id"]
    assert site.root.get("/bookings").must(200)["items"] == []
    assert len(site.root.get("/bookings?account=ann").must(200)["items"]) == 1
    assert len(site.root.get("/bookings?account=*").must(200)["items"]) == 1
    site.root.get("/bookings?account=zoe").must(404)


def test_a_booking_is_given_to_a_group_of_its_owner_and_taken_from_it(site: Site) -> None:
    ann, cleo = site.person("ann"), site.person("cleo")
    ann.post("/groups", json={"name": "lab"}).must(201)
    ann.put("/groups/lab/members/cleo", json={"role": "reader"}).must(200)
    cleo.post("/groups", json={"name": "theirs"}).must(201)
    booking = ann.book().must(201)
    path = f"/bookings/{booking['id']}"

    def give(caller: Caller, group: str | None, query: str = "", **headers: str) -> Answer:
        return caller.patch(path + query, json={"group": group}, headers={"If-Match": "*"} | headers)

    assert give(ann, "lab", "?dry_run=true").must(200)["group"] == "lab"
    cleo.get(path).must(404)
    given = give(ann, "lab").must(200)
    assert (given["group"], given["revision"]) == ("lab", 2)
    assert cleo.get(path).must(200)["group"] == "lab"
    give(cleo, None).must(404)
    give(ann, "lab", **{"If-Match": '"1"'}).must(412)
    assert "group" in give(ann, "theirs").must(422)["errors"]
    assert "group" in give(ann, "").must(422)["errors"]
    assert "group" in give(site.root, "theirs").must(422)["errors"]
    assert give(site.root, None).must(200)["group"] is None
    cleo.get(path).must(404)
    told = ann.get(f"{path}/history").must(200)["items"]
    shared = [(entry["action"], entry["detail"]["group"]) for entry in told if "shared" in entry["action"]]
    assert sorted(shared) == [("booking.shared", "lab"), ("booking.unshared", "lab")]


def test_a_title_may_change_without_the_group(site: Site) -> None:
    ann = site.person("ann")
    ann.post("/groups", json={"name": "lab"}).must(201)
    path = f"/bookings/{ann.book(group='lab').must(201)['id']}"
    assert ann.patch(path, json={"title": "t"}, headers={"If-Match": "*"}).must(200)["group"] == "lab"


def test_a_booking_is_shared_with_named_people_and_groups(site: Site) -> None:
    ann, ben, cleo = site.person("ann"), site.person("ben"), site.person("cleo")
    ann.post("/groups", json={"name": "lab"}).must(201)
    ann.put("/groups/lab/members/cleo", json={"role": "reader"}).must(200)
    booking = ann.book(group="lab").must(201)
    path = f"/bookings/{booking['id']}"
    assert booking["group"] == "lab"
    assert ann.put(f"{path}/guests/ben").must(200)["guests"] == ["ben"]
    for reader in (ben, cleo):
        assert reader.get(path).must(200)["id"] == booking["id"]
        assert [b["id"] for b in reader.get("/bookings?shared=true").must(200)["items"]] == [booking["id"]]
        assert reader.get("/bookings").must(200)["items"] == []
        reader.delete(path).must(404)
    ann.delete(f"{path}/guests/ben").must(204)
    ben.get(path).must(404)
    ann.put(f"{path}/guests/zoe").must(404, "account.not_found")
    cleo.book(group="lab").must(422)
    assert ann.get("/bookings?shared=true").must(200)["items"] == []


def test_lists_are_filtered_and_paged_and_stay_true_while_bookings_are_made(
    site: Site, clock: TestClock
) -> None:
    ann = site.person("ann")
    ids = []
    for hour in range(8, 13):
        ids.append(ann.book("tiny", (hour, hour + 1)).must(201)["id"])
        if hour % 2:
            clock.advance(timedelta(seconds=1))
    first = ann.get("/bookings?limit=2").must(200)
    ann.book("tiny", (20, 21)).must(201)
    second = ann.get(f"/bookings?limit=2&cursor={first['next']}").must(200)
    third = ann.get(f"/bookings?limit=2&cursor={second['next']}").must(200)
    listed = [b["id"] for page in (first, second, third) for b in page["items"]]
    assert sorted(listed) == sorted(ids)
    assert third["next"] is None
    overlapping = ann.get(f"/bookings?from={at(9)}&to={at(11)}").must(200)
    assert {b["id"] for b in overlapping["items"]} == set(ids[1:3])
    assert len(ann.get(f"/bookings?from={DAY}").must(200)["items"]) == 6
    assert ann.get(f"/bookings?to={DAY}").must(200)["items"] == []
    ann.delete(f"/bookings/{ids[0]}").must(204)
    assert [b["id"] for b in ann.get("/bookings?state=cancelled").must(200)["items"]] == [ids[0]]
    assert len(ann.get("/bookings?state=confirmed").must(200)["items"]) == 5
    for forged in (
        "x",
        "W10",
        "WyIiLCIiXQ",
        "é",
        cursor_of("2030-01-07T09:00:00", "x"),
        cursor_of("noon", "x"),
    ):
        ann.get(f"/bookings?cursor={forged}").must(422)
    ann.get(f"/bookings?cursor={cursor_of('2030-01-07T09:00:00Z', chr(0))}").must(422)
    ann.get("/bookings?limit=0").must(422)
    ann.get("/bookings?limit=201").must(422)


def test_the_history_of_a_booking_says_who_did_what(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    booking = ann.book().must(201)
    clock.advance(timedelta(seconds=1))
    ann.delete(f"/bookings/{booking['id']}").must(204)
    entries = ann.get(f"/bookings/{booking['id']}/history").must(200)["items"]
    assert [(e["account"], e["action"]) for e in entries] == [
        ("ann", "reservation.cancelled"),
        ("ann", "booking.made"),
    ]
    page = ann.get(f"/bookings/{booking['id']}/history?limit=1").must(200)
    rest = ann.get(f"/bookings/{booking['id']}/history?limit=1&cursor={page['next']}").must(200)
    assert [page["items"][0], rest["items"][0], rest["next"]] == [*entries, None]


FAULTS: list[tuple[dict[str, object], str]] = [
    ({"spans": []}, "spans"),
    ({"spans": [span(9, 10)] * 367}, "spans"),
    ({"spans": [{"start": at(9), "end": at(9)}]}, "spans.0.end"),
    ({"spans": [{"start": f"{DAY}T09:00:00", "end": at(10)}]}, "spans.0.start"),
    ({"spans": [{"start": f"{DAY}T09:00:01Z", "end": at(10)}]}, "spans.0.start"),
    ({"spans": [{"start": f"{DAY}T09:30:00Z", "end": at(11)}]}, "spans.0.start"),
    ({"spans": [{"start": f"{DAY} 09:00:00Z", "end": at(10)}]}, "spans.0.start"),
    ({"spans": [{"start": "2030-02-30T09:00:00Z", "end": at(10)}]}, "spans.0.start"),
    ({"spans": [{"start": "0001-01-01T00:00:00+23:59", "end": at(10)}]}, "spans.0.start"),
    ({"spans": [{"start": "2030-01-07T08:00:00Z", "end": at(10)}]}, "spans.0.start"),
    ({"spans": [span(9, 11), span(10, 12)]}, "spans"),
    ({"spans": [{"start": at(9), "end": "2199-01-01T00:00:00Z"}]}, "spans.0.end"),
    ({"spans": [{"start": at(9), "end": at(10), "zone": "x"}]}, "spans.0.zone"),
    ({"package": "nope"}, "package"),
    ({"package": 5}, "package"),
    ({"pool": "nope"}, "pool"),
    ({"group": "nope"}, "group"),
    ({"sharing": "mine"}, "sharing"),
    ({"title": "x" * 201}, "title"),
    ({"title": "line\nbreak"}, "title"),
    ({"title": "nul\0"}, "title"),
    ({"title": "half \ud800"}, "title"),
    ({"notebook_url": "javascript:alert(1)"}, "notebook_url"),
    ({"unknown": 1}, "unknown"),
    ({"un\0known": 1}, "body"),
    (
        {"package": "custom", "custom": {"notebook_cores": 0, "notebook_memory_mib": 1}},
        "custom.worker_cores",
    ),
    (
        {
            "package": "custom",
            "custom": {
                "notebook_cores": True,
                "notebook_memory_mib": "1",
                "worker_cores": 1.5,
                "worker_memory_mib": 10**30,
            },
        },
        "custom.worker_memory_mib",
    ),
]


def test_a_fault_of_form_is_told_by_its_field(site: Site) -> None:
    for change, field in FAULTS:
        problem = site.person("ann").post("/bookings", json=wish() | change).must(422)
        assert field in problem["errors"], change


def test_a_whole_number_may_be_written_with_a_point(site: Site) -> None:
    sizes = {"notebook_cores": 1.0, "notebook_memory_mib": 64.0, "worker_cores": 0, "worker_memory_mib": 0}
    assert site.person("ann").book("custom", custom=sizes).must(201)["demand"]["cores"] == 1


def test_new_ends_that_cannot_be_are_told_by_their_field(site: Site) -> None:
    ann = site.person("ann")
    booking = ann.book().must(201)
    own = booking["reservations"][0]["id"]
    for ends, field in (
        (5, "reservations"),
        ([{"id": own, "end": at(10)}] * 2, "reservations"),
        ([{"id": own, "end": at(10)}] * 367, "reservations"),
        ({f"r{number}": {"end": at(10)} for number in range(367)}, "reservations"),
        ([{"id": own}], "reservations.0.end"),
        ([own], "reservations.0"),
        ({own: at(10)}, f"reservations.{own}"),
        ({own: {"end": "noon"}}, f"reservations.{own}.end"),
        ({own: {"end": at(10), "start": at(9)}}, f"reservations.{own}.start"),
        ({own: {"end": f"{DAY}T10:30:00Z"}}, f"reservations.{own}.end"),
        ({own: {"end": at(9)}}, f"reservations.{own}.end"),
        ({own: {"end": "2030-01-07T08:00:00Z"}}, f"reservations.{own}.end"),
        ({own: {"end": "2040-01-07T08:00:00Z"}}, f"reservations.{own}.end"),
    ):
        answer = ann.patch(
            f"/bookings/{booking['id']}", json={"reservations": ends}, headers={"If-Match": "*"}
        )
        assert field in answer.must(422)["errors"], ends
    assert ann.get(f"/bookings/{booking['id']}").must(200) == booking
