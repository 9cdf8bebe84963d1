"""What a calendar reads: one booking as a file, and the feed of an account at its secret address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from icalendar import Calendar, Event

from booking.services import calendars, tokens
from tests.api.support import DAY, Answer, Caller, Site, span
from tests.support.doors import TestClock


def events(answer: Answer) -> dict[str, Event]:
    """The events of a file by their summary."""
    assert answer.status == 200, answer.response.get_data(as_text=True)
    assert answer.response.mimetype == "text/calendar"
    file = Calendar.from_ical(answer.response.data)
    assert isinstance(file, Calendar)
    return {str(event.summary): event for event in file.events}


def of_booking(caller: Caller, booking: dict[str, Any]) -> list[Event]:
    found = caller.get(f"/bookings/{booking['id']}/calendar.ics")
    events(found)
    return list(Calendar.from_ical(found.response.data).events)


def feed_of(caller: Caller) -> str:
    """The address of a new feed, without its host."""
    made = caller.post("/feed").must(201)
    address = urlsplit(made["url"])
    assert (address.scheme, address.netloc) == ("http", "localhost")
    return str(address.path)


def read(site: Site, address: str, **more: Any) -> Answer:
    return Caller(site.app).get(address, **more)


def test_a_booking_is_a_file_with_an_event_for_each_span(site: Site) -> None:
    ann = site.person("ann")
    made = ann.book("small", (9, 12), (14, 16), title="Curves; of, light").must(201)
    first, second = of_booking(ann, made)
    assert [event.uid for event in (first, second)] == [
        f"{row['id']}@booking" for row in made["reservations"]
    ]
    assert (first.start, first.end) == (
        datetime(2030, 1, 8, 9, tzinfo=UTC),
        datetime(2030, 1, 8, 12, tzinfo=UTC),
    )
    assert b"DTSTART:20300108T140000Z" in second.to_ical()
    assert first.summary == "Curves; of, light"
    assert first.description == "small, confirmed"
    assert (first.status, first.sequence) == ("CONFIRMED", 0)
    assert first.url == f"http://localhost/bookings/{made['id']}"
    (alarm,) = first.alarms.times
    assert alarm.trigger == first.end - timedelta(minutes=10)
    assert [event.summary for event in of_booking(ann, ann.book("tiny").must(201))] == ["tiny"]


def test_a_file_comes_with_a_name_to_keep_it_under(site: Site) -> None:
    made = site.person("ann").book().must(201)
    answer = site.person("ann").get(f"/bookings/{made['id']}/calendar.ics")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="booking-{made["id"]}.ics"'
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_hold_is_tentative_until_it_is_confirmed(site: Site) -> None:
    ann = site.person("ann")
    made = ann.book(hold=True).must(201)
    (held,) = of_booking(ann, made)
    ann.post(f"/bookings/{made['id']}/confirm").must(200)
    (confirmed,) = of_booking(ann, made)
    assert (held.status, confirmed.status) == ("TENTATIVE", "CONFIRMED")
    assert confirmed.sequence > held.sequence
    assert confirmed.uid == held.uid


def test_a_hold_that_has_expired_is_told_as_cancelled(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    made = ann.book(hold=True).must(201)
    clock.advance(timedelta(minutes=16))
    (event,) = of_booking(ann, made)
    assert (event.status, event.description) == ("CANCELLED", "small, expired")


def test_a_calendar_takes_away_what_was_cancelled_after_it_was_moved(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    made = ann.book("small", (9, 12)).must(201)
    seen = [of_booking(ann, made)[0]]
    clock.advance(timedelta(minutes=1))
    path = f"/bookings/{made['id']}/reservations/{made['reservations'][0]['id']}"
    ann.patch(path, json={"end": f"{DAY}T13:00:00Z"}, headers={"If-Match": "*"}).must(200)
    seen += of_booking(ann, made)
    clock.advance(timedelta(minutes=1))
    ann.delete(f"/bookings/{made['id']}").must(204)
    seen += of_booking(ann, made)
    assert [event.status for event in seen] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]
    assert [event.sequence for event in seen] == [0, 1, 2]
    assert len({event.uid for event in seen}) == 1
    assert [event.stamp for event in seen] == [clock.now() - timedelta(minutes=n) for n in (2, 1, 0)]
    assert [len(event.alarms.times) for event in seen] == [1, 1, 0]


def test_the_file_of_a_booking_is_for_those_who_may_see_it(site: Site) -> None:
    ann, ben = site.person("ann"), site.person("ben")
    path = f"/bookings/{ann.book().must(201)['id']}/calendar.ics"
    ben.get(path).must(404, "booking.not_found")
    site.nobody.get(path).must(401)
    ann.put(path.replace("calendar.ics", "guests/ben")).must(200)
    events(ben.get(path))


def test_a_feed_is_read_by_whoever_knows_its_address_and_tells_only_what_is_mine(site: Site) -> None:
    ann, ben = site.person("ann"), site.person("ben")
    ann.get("/feed").must(404, "feed.not_found")
    address = feed_of(ann)
    mine = ann.book("small", (9, 12), title="Mine", notebook_url="https://example.org/a.ipynb").must(201)
    other = ben.book("tiny", (9, 12), title="Ben's").must(201)
    ben.put(f"/bookings/{other['id']}/guests/ann").must(200)
    answer = read(site, address)
    (event,) = events(answer).values()
    assert event.summary == "Mine"
    assert (event.description, event.status) == ("small, confirmed", "CONFIRMED")
    text = answer.response.get_data(as_text=True)
    assert not [said for said in (mine["id"], "example.org", "main", "ann", "URL", "VALARM") if said in text]
    assert ann.get("/feed").must(200)["created_at"] == "2030-01-07T09:00:00Z"


def test_a_feed_that_has_not_changed_is_not_sent_again(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    address = feed_of(ann)
    made = ann.book(title="One").must(201)
    first = read(site, address)
    assert first.headers["Cache-Control"] == "private, no-cache"
    known = {"If-None-Match": first.etag}
    clock.advance(timedelta(minutes=5))
    again = read(site, address, headers=known)
    assert (again.status, again.response.data) == (304, b"")
    ann.patch(f"/bookings/{made['id']}", json={"title": "Two"}, headers={"If-Match": "*"}).must(200)
    assert list(events(read(site, address, headers=known))) == ["Two"]


def test_a_feed_begins_a_month_back(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    address = feed_of(ann)
    ann.book(title="Old").must(201)
    clock.advance(timedelta(days=20))
    assert list(events(read(site, address))) == ["Old"]
    clock.advance(timedelta(days=13))
    assert events(read(site, address)) == {}


def test_a_feed_holds_so_many_entries_and_no_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = site.person("ann")
    address = feed_of(ann)
    for hour in range(9, 13):
        ann.book("tiny", (hour, hour + 1), title=str(hour)).must(201)
    monkeypatch.setattr(calendars, "MOST_ENTRIES", 3)
    assert list(events(read(site, address))) == ["9", "10", "11"]


def test_a_feed_that_is_renewed_or_removed_is_no_longer_at_its_old_address(site: Site) -> None:
    ann = site.person("ann")
    old = feed_of(ann)
    new = feed_of(ann)
    read(site, old).must(404, "feed.not_found")
    assert read(site, new).status == 200
    ann.delete("/feed").must(204)
    ann.delete("/feed").must(404, "feed.not_found")
    gone = read(site, new).must(404, "feed.not_found")
    assert new.split("/")[2].removesuffix(".ics") not in str(gone)
    told = site.root.get("/journal?action=feed").must(200)["items"]
    assert [entry["action"] for entry in told] == ["feed.removed", "feed.renewed", "feed.made"]


def test_only_the_hash_of_a_secret_is_kept(site: Site) -> None:
    secret = feed_of(site.person("ann")).split("/")[2].removesuffix(".ics")
    with site.ctx.db.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT hash FROM feed").scalars().all()
    assert rows == [tokens.token_hash(secret)]


def test_the_feed_of_an_account_that_is_shut_is_not_there(site: Site) -> None:
    address = feed_of(site.person("ann"))
    site.root.patch("/accounts/ann", json={"disabled": True}).must(200)
    read(site, address).must(404, "feed.not_found")
    site.root.patch("/accounts/ann", json={"disabled": False}).must(200)
    assert read(site, address).status == 200


def test_a_new_password_ends_the_feed(site: Site) -> None:
    address = feed_of(site.person("ann"))
    site.root.patch("/accounts/ann", json={"password": "correct horse"}).must(200)
    read(site, address).must(404, "feed.not_found")


def test_what_a_token_made_ends_with_it(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    body = {"scopes": ["bookings:read"], "expires_in": "P1D"}
    brief = Caller(site.app, ann.post("/tokens", json=body).must(201)["token"])
    address = feed_of(brief)
    assert read(site, address).status == 200
    clock.advance(timedelta(days=1))
    read(site, address).must(404)
    ann.get("/feed").must(404)


def test_a_feed_needs_the_right_to_read_what_it_tells(site: Site) -> None:
    site.person("ann", "availability:read").post("/feed").must(403)
    site.nobody.post("/feed").must(401)


def test_a_feed_is_read_so_often_and_guessed_at_so_often(site: Site) -> None:
    def status(address: str, host: str) -> int:
        return read(site, address, environ_base={"REMOTE_ADDR": host}).status

    mine, other = feed_of(site.person("ann")), feed_of(site.person("ben"))
    assert [status(mine, f"192.0.2.{n}") for n in range(61)] == [200] * 60 + [429]
    assert status(other, "192.0.2.1") == 200
    assert [status("/feed/guess.ics", "198.51.100.1") for _ in range(61)] == [404] * 60 + [429]
    assert status(other, "198.51.100.1") == 200


def test_what_is_no_address_of_a_feed_is_a_problem(site: Site) -> None:
    site.nobody.get("/feed/").must(404, "route.not_found")
    site.nobody.get("/feed/secret").must(404, "route.not_found")
    site.nobody.post("/feed/secret.ics").must(405)


def test_spans_that_were_booked_together_are_in_order(site: Site) -> None:
    ann = site.person("ann")
    made = ann.post(
        "/bookings", json={"package": "tiny", "sharing": "reserved", "spans": [span(15, 16), span(9, 10)]}
    ).must(201)
    assert [event.start for event in of_booking(ann, made)] == [
        datetime(2030, 1, 8, hour, tzinfo=UTC) for hour in (9, 15)
    ]
