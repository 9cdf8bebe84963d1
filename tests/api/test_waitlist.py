"""The waiting list as a program uses it."""

from __future__ import annotations

from datetime import timedelta

from booking.adapters.null import NullProvisioner
from booking.scheduler import Scheduler
from tests.api.support import Caller, Site, at, span, wish
from tests.support.doors import TestClock


def tick(site: Site, clock: TestClock) -> None:
    clock.advance(timedelta(minutes=1))
    assert Scheduler(site.ctx, NullProvisioner(clock), "test").tick()


def taken(site: Site) -> tuple[Caller, str]:
    """Everything from 9 to 12 is booked; by whom, and as what."""
    zoe = site.person("zoe")
    return zoe, zoe.book("large", (9, 12)).must(201)["id"]


def test_what_did_not_fit_is_wanted_then_offered_then_taken(site: Site, clock: TestClock) -> None:
    zoe, booked = taken(site)
    ann = site.person("ann")
    body = wish("small", (9, 10), (11, 12), title="course", notebook_url="https://example.org/a.ipynb")
    first, second = ann.post("/waitlist", json=body).must(201)["items"]
    assert (first["start"], first["end"], first["state"]) == (at(9), at(10), "waiting")
    assert (first["booking"], first["until"], first["before"], first["lapses"]) == (None, None, 0, 0)
    assert (first["title"], first["pool"]["name"], first["account"]) == ("course", "main", "ann")
    zoe.delete(f"/bookings/{booked}").must(204)
    tick(site, clock)
    told = {row["id"]: row for row in ann.get("/waitlist").must(200)["items"]}
    assert {row["state"] for row in told.values()} == {"offered"}
    offer = ann.get(f"/bookings/{told[first['id']]['booking']}").must(200)
    assert (offer["state"], offer["title"]) == ("held", "course")
    assert offer["reservations"][0]["expires_at"] == told[first["id"]]["until"] is not None
    ann.post(f"/bookings/{offer['id']}/confirm").must(200)
    (left,) = ann.get("/waitlist").must(200)["items"]
    assert left["id"] == second["id"]
    (done,) = ann.get("/waitlist?state=taken").must(200)["items"]
    assert (done["booking"], done["until"]) == (offer["id"], None)
    ann.delete(f"/waitlist/{second['id']}").must(204)
    ann.delete(f"/waitlist/{second['id']}").must(204)
    assert ann.get("/waitlist").must(200)["items"] == []
    assert ann.get(f"/bookings/{left['booking']}").must(200)["state"] == "cancelled"


def test_what_is_free_is_refused_and_may_be_booked(site: Site) -> None:
    taken(site)
    ann = site.person("ann")
    body = wish("small", (9, 10), (13, 14))
    said = ann.post("/waitlist", json=body).must(409, "waitlist.free")["detail"]
    assert "13:00" in said
    assert ann.get("/waitlist").must(200)["items"] == []


def test_what_a_level_may_not_book_it_may_not_wait_for(site: Site) -> None:
    taken(site)
    low = site.person("low", level=1)
    said = low.post("/waitlist", json=wish("large", (9, 12), sharing="custom"))
    assert said.must(403)["rule"]["name"] == said.json["code"]


def test_nobody_holds_by_way_of_the_waiting_list(site: Site) -> None:
    answer = site.person("ann").post("/waitlist", json=wish(hold=True))
    assert list(answer.must(422, "request.invalid")["errors"]) == ["hold"]


def test_the_list_comes_page_by_page_and_an_administrator_sees_all(site: Site) -> None:
    taken(site)
    ann, bob = site.person("ann"), site.person("bob")
    for hour in (9, 10, 11):
        ann.post("/waitlist", json=wish("small", (hour, hour + 1))).must(201)
    bob.post("/waitlist", json=wish("large", (9, 12))).must(201)
    first = ann.get("/waitlist?limit=2").must(200)
    rest = ann.get(f"/waitlist?limit=2&cursor={first['next']}").must(200)
    rows = first["items"] + rest["items"]
    assert sorted((row["start"], row["end"]) for row in rows) == [
        tuple(span(hour, hour + 1).values()) for hour in (9, 10, 11)
    ]
    assert rest["next"] is None
    everybody = site.root.get("/waitlist?account=*").must(200)["items"]
    assert {row["account"] for row in everybody} == {"ann", "bob"}
    assert site.root.get("/waitlist?account=bob").must(200)["items"][0]["package"] == "large"
    bob.get("/waitlist?account=ann").must(403)
    site.root.get("/waitlist?account=nobody").must(404)


def test_what_somebody_else_waits_for_is_not_there(site: Site) -> None:
    taken(site)
    (row,) = site.person("ann").post("/waitlist", json=wish("small", (9, 10))).must(201)["items"]
    site.person("bob").delete(f"/waitlist/{row['id']}").must(404, "wanted.not_found")
    site.root.delete(f"/waitlist/{row['id']}").must(204)
