"""The page of a booking: how it stands, and what may be done with it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from booking.allocator.lifecycle import State
from booking.models import Role
from booking.services import bookings, groups
from tests.support.pages import PageSite, at
from tests.support.reader import Reader

FRAGMENT = {"HX-Request": "true"}


def status_of(reader: Reader, booking_id: str) -> str:
    """The part that changes by itself."""
    return reader.get(f"/bookings/{booking_id}/status", headers=FRAGMENT).html


def steps(html: str) -> list[tuple[str, str]]:
    return re.findall(r'<li class="(done|now|next|failed)"[^>]*><strong>([^<]+)', html)


def test_somebody_elses_booking_is_not_there(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12), title="Secret plans")
    for path in ("", "/status", "/cancel", "/open/notebook"):
        reader = site.reader("grace").get(
            f"/bookings/{made.id}{path}", headers=FRAGMENT if path == "/status" else {}
        )
        assert reader.status == 404
        assert "Secret" not in reader.text
    grace = site.reader("grace").get("/calendar")
    token = dict(grace.form("/logout").fields)["csrf_token"]
    for act in ("end", "confirm", "cancel", "title", "guests", "group"):
        answer = grace.client.post(f"/bookings/{made.id}/{act}", data={"csrf_token": token, "name": "grace"})
        assert answer.status_code == 404, act
    assert [row.state for row in site.rows("ada")] == [State.CONFIRMED]


def test_the_list_tells_now_next_and_past_apart(site: PageSite) -> None:
    site.book("ada", "tiny", at(9, -1), at(10, -1), title="Yesterday's")
    site.pass_until(at(9))
    site.book("ada", "tiny", at(9), at(12), title="Running")
    site.book("ada", "tiny", at(20), at(22), title="Tonight")
    site.pass_time(timedelta(minutes=1))
    text = site.reader("ada").get("/bookings").text
    places = [text.index(word) for word in ("Now", "Running", "Next", "Tonight", "Past", "Yesterday's")]
    assert places == sorted(places)
    assert "core-hours in four weeks" in text


def test_the_past_is_turned_page_by_page(site: PageSite) -> None:
    for n in range(25):
        made = site.book("ada", "tiny", at(9), at(10), title=f"No {n:02}")
        bookings.cancel(site.ctx, site.actor("ada"), made.id)
        site.clock.advance(timedelta(seconds=1))
    ada = site.reader("ada").get("/bookings")
    assert "No 24" in ada.text
    assert "No 04" not in ada.text
    ada.follow("Older")
    assert "No 04" in ada.text
    assert "No 24" not in ada.text


def test_a_page_watches_while_something_moves_and_then_stops(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    ada = site.reader("ada")
    assert "every 2s" not in status_of(ada, made.id)
    site.pass_until(at(9) - timedelta(seconds=30))
    assert "every 2s" in status_of(ada, made.id)
    assert ("now", "Cluster is made") in steps(ada.html)
    site.pass_until(at(9) + timedelta(seconds=30))
    assert "every 2s" not in status_of(ada, made.id)
    assert ("now", "Ready to use") in steps(ada.html)
    assert "data-refresh-at" in ada.html
    site.pass_until(at(12) - timedelta(seconds=5))
    site.pass_until(at(12) + timedelta(minutes=1))
    assert "every 2s" not in status_of(ada, made.id)
    assert {stage for stage, _ in steps(ada.html)} == {"done"}
    assert "data-refresh-at" not in ada.html


def test_the_notebook_opens_with_its_token_for_those_who_may_use_it(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    bookings.share(site.ctx, site.actor("ada"), made.id, "grace", shared=True)
    site.pass_until(at(9) + timedelta(minutes=1))
    (row,) = site.rows("ada")
    for name in ("ada", "grace"):
        reader = site.reader(name).get(f"/bookings/{made.id}")
        assert "Open notebook" in reader.text
        assert f"tls://127.0.0.1/{row.id}" in reader.text
        assert "token-of" not in reader.html
        answer = reader.client.get(f"/bookings/{made.id}/open/notebook")
        assert answer.status_code == 303
        assert answer.headers["Location"].endswith(f"/?token=token-of-{row.id}")
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
    root = site.reader("root").get(f"/bookings/{made.id}")
    assert root.status == 200
    assert "Open notebook" not in root.text
    assert root.get(f"/bookings/{made.id}/open/notebook").status == 404


def test_nothing_opens_before_the_cluster_is_there(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    assert "Open notebook" not in ada.text
    assert ada.get(f"/bookings/{made.id}/open/notebook").status == 404


def test_the_end_is_announced_and_one_click_extends(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    site.pass_until(at(9))
    site.pass_until(at(12) - timedelta(minutes=8))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    assert "It ends in 8 minutes" in ada.text
    ada.submit(f"/bookings/{made.id}/end", "Until Tue 8 Jan 13:00")
    assert "It now ends Tue 8 Jan 13:00." in ada.text
    assert "It ends in" not in ada.text
    assert [row.end for row in site.rows("ada")] == [at(13)]


def test_extensions_are_offered_as_far_as_the_timeline_allows_and_it_is_said_why_no_further(
    site: PageSite,
) -> None:
    made = site.book("ada", "small", at(9), at(12))
    site.book("grace", "large", at(15), at(18))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    offered = [text for _, _, text in ada.form(f"/bookings/{made.id}/end", "Until").buttons]
    assert offered == ["Until Tue 8 Jan 13:00 +1 hour", "Until Tue 8 Jan 14:00 +2 hours"]
    assert "At most until Tue 8 Jan 15:00. From then on 0 cores (of 2 cores needed) are free." in ada.text
    refused = ada.submit(f"/bookings/{made.id}/end", "Change", end_date="2030-01-08", end_hour="16:00")
    assert refused.status == 409
    assert "small is not free for the added time." in refused.text


def test_a_level_that_allows_no_longer_booking_is_named(site: PageSite) -> None:
    made = site.book("ada", "tiny", at(9), at(9, 14))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    assert "Your level allows no longer booking." in ada.text
    refused = ada.submit(f"/bookings/{made.id}/end", "Change", end_date="2030-01-25", end_hour="09:00")
    assert "One span may be 14 days long" in refused.text


def test_a_booking_is_shortened_to_an_exact_hour_after_it_was_said_what_is_given_back(site: PageSite) -> None:
    made = site.book("ada", "large", at(9), at(20))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    ada.submit(f"/bookings/{made.id}/end", "Change", end_hour="11:00")
    assert "Tue 8 Jan, 09:00–20:00 becomes Tue 8 Jan, 09:00–11:00." in ada.text
    assert "You get 72 core-hours back." in ada.text
    assert [row.end for row in site.rows("ada")] == [at(20)]
    ada.submit(f"/bookings/{made.id}/end", "Shorten it")
    assert [row.end for row in site.rows("ada")] == [at(11)]
    assert "16 of 1,000 core-hours" in site.reader("ada").get("/account").text
    ada.get(f"/bookings/{made.id}")
    wrong = ada.submit(f"/bookings/{made.id}/end", "Change", end_hour="08:00")
    assert wrong.status == 422
    assert "Must be after the start" in wrong.text


def test_cancelling_asks_first_and_gives_the_time_back(site: PageSite) -> None:
    made = site.book("ada", "large", at(9), at(20))
    ada = site.reader("ada").get(f"/bookings/{made.id}").follow("Cancel")
    assert "Cancel this booking?" in ada.text
    assert "You get 88 core-hours back." in ada.text
    assert [row.state for row in site.rows("ada")] == [State.CONFIRMED]
    ada.submit(f"/bookings/{made.id}/cancel", "Cancel the booking")
    assert "Cancelled." in ada.text
    assert site.book("grace", "large", at(9), at(20)).id


def test_an_undo_takes_it_back_whole_in_one_click_until_its_cluster_begins_to_be_made(site: PageSite) -> None:
    ada = site.reader("ada").get("/calendar")
    fields = {
        "from_date": "2030-01-08",
        "until_date": "2030-01-08",
        "from_hour": "09:00",
        "until_hour": "12:00",
    }
    ada.submit("/calendar/review", package="large", **fields).submit("/bookings", "Confirm")
    assert "Booked." in ada.text
    ada.submit(f"{ada.path}/cancel", "Undo")
    assert "Undone. All of its time is free again." in ada.text
    assert [row.state for row in site.rows("ada")] == [State.CANCELLED]
    made = site.book("ada", "large", at(13), at(16))
    ada.get(f"/bookings/{made.id}")
    site.pass_until(at(13) - timedelta(seconds=30))
    ada.submit(f"/bookings/{made.id}/cancel", "Undo")
    assert "It has changed meanwhile, and so it is asked first." in ada.text
    assert "End it now?" in ada.text
    assert [row.state for row in site.rows("ada")][1] is State.PREPARING
    assert "Undo" not in ada.get(f"/bookings/{made.id}").text


def test_a_hold_is_undone_as_well(site: PageSite) -> None:
    ada = site.reader("ada").get("/calendar")
    fields = {
        "from_date": "2030-01-08",
        "until_date": "2030-01-08",
        "from_hour": "09:00",
        "until_hour": "12:00",
    }
    ada.submit("/calendar/review", package="small", **fields).submit("/bookings", "Hold")
    assert "The hold ends in 15 minutes" in ada.text
    ada.submit(f"{ada.path}/cancel", "Undo")
    assert [row.state for row in site.rows("ada")] == [State.CANCELLED]


def test_it_is_counted_down_to_the_start_and_then_to_the_end(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    assert "Starts in 1 day" in ada.text
    site.pass_until(at(10))
    assert "Ends in 2 hours" in ada.get(f"/bookings/{made.id}").text
    assert 'data-until="2030-01-08T12:00:00+00:00"' in ada.html
    site.pass_until(at(12) + timedelta(minutes=1))
    assert "data-until" not in ada.get(f"/bookings/{made.id}").html


def test_a_booking_is_put_into_ones_own_calendar(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12), title="Curves of light")
    answer = site.reader("ada").get(f"/bookings/{made.id}").follow("Add to my calendar")
    assert answer.response.mimetype == "text/calendar"
    assert "SUMMARY:Curves of light" in answer.html


def test_a_group_of_mine_may_use_it_and_no_longer(site: PageSite) -> None:
    for name in ("gaia", "euclid"):
        groups.create(site.ctx, site.actor("ada"), name)
        groups.put_member(site.ctx, site.actor("ada"), name, "grace", Role.READER)
    made = site.book("ada", "small", at(9), at(12), title="Ours")
    act = f"/bookings/{made.id}/group"
    ada, grace = site.reader("ada").get(f"/bookings/{made.id}"), site.reader("grace")
    ada.submit(act, "Share", group="gaia")
    assert "Everybody in gaia may use it too." in ada.text
    assert "shared: gaia" in ada.text
    assert grace.get("/bookings?whose=shared").follow("Ours").status == 200
    assert "/group" not in grace.html
    ada.submit(act, "Change", group="euclid")
    assert "euclid group" in ada.text
    assert "gaia group" not in ada.text
    ada.submit(act, "Remove")
    assert "No group may use it." in ada.text
    assert grace.get(f"/bookings/{made.id}").status == 404
    wrong = ada.submit(act, "Share", group="planck")
    assert wrong.status == 422
    assert "Is not a group you may book for." in wrong.text


def test_ending_a_running_booking_says_that_everything_in_it_goes(site: PageSite) -> None:
    made = site.book("ada", "large", at(9), at(20))
    site.pass_until(at(9) + timedelta(minutes=5))
    ada = site.reader("ada").get(f"/bookings/{made.id}").follow("End it now")
    assert "everything in it is destroyed" in ada.text
    assert "You get 80 core-hours back." in ada.text
    ada.submit(f"/bookings/{made.id}/cancel", "End it now")
    site.pass_time(timedelta(seconds=5))
    assert site.provisioner.inventory() == frozenset()
    assert ("done", "Gone") in steps(ada.get(f"/bookings/{made.id}").html)


def test_a_booking_is_shared_with_a_named_person_and_no_longer(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12), title="Ours")
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    assert ada.submit(f"/bookings/{made.id}/guests", "Share", name="nobody").status == 422
    assert "Nobody here has the name 'nobody'" in ada.text
    ada.submit(f"/bookings/{made.id}/guests", "Share", name="grace")
    assert "grace may use it too." in ada.text
    grace = site.reader("grace").get("/bookings?whose=shared").follow("Ours")
    assert grace.status == 200
    assert "Change the end" not in grace.text
    ada.submit(f"/bookings/{made.id}/guests", "Remove")
    assert grace.get(f"/bookings/{made.id}").status == 404


def test_the_history_says_who_did_what(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    site.pass_until(at(9) + timedelta(minutes=1))
    text = site.reader("ada").get(f"/bookings/{made.id}").text
    history = text[text.index("History") :]
    for said in ("booked ada", "the cluster is being made the service", "the cluster is ready the service"):
        assert said in history


def test_every_span_of_a_series_is_listed_with_its_state(site: PageSite) -> None:
    ada = site.reader("ada").get("/calendar")
    ada.submit(
        "/calendar/review",
        package="tiny",
        repeat="nightly",
        repeat_count="3",
        from_hour="20:00",
        until_hour="06:00",
    )
    ada.submit("/bookings", "Confirm")
    assert "All 3 spans" in ada.text
    assert ada.text.count("20:00 –") >= 3


def test_a_cluster_that_cannot_be_made_is_told_as_failed(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(10))
    site.clock.advance(at(11) - site.clock.now())
    site.pass_time(timedelta(seconds=1))
    html = site.reader("ada").get(f"/bookings/{made.id}").html
    assert ("failed", "Failed") in steps(html)
    assert "the service was not running" in html


@pytest.mark.parametrize("end", ["yesterday", "2030-01-08T13:00:00", "2030-01-08T13:30:00+00:00"])
def test_an_end_that_is_none_is_refused(site: PageSite, end: str) -> None:
    made = site.book("ada", "small", at(9), at(12))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    assert ada.submit(f"/bookings/{made.id}/end", "Change", end=end).status == 422
    assert [row.end for row in site.rows("ada")] == [at(12)]


def test_a_title_may_be_changed_and_stays_text(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    ada = site.reader("ada").get(f"/bookings/{made.id}")
    ada.submit(f"/bookings/{made.id}/title", title="<script>alert(1)</script>")
    assert "<script>alert" not in ada.html
    assert "<script>alert(1)</script>" in ada.text
