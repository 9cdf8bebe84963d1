"""What did not fit, without a script: the nearest in its place, or the waiting list, and what is offered from it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from booking.allocator.lifecycle import State
from booking.services import bookings, waiting
from tests.pages.test_booking_by_form import HOURS, reviewed, spans
from tests.support.pages import PageSite, at
from tests.support.reader import Reader

MINUTE = timedelta(minutes=1)
SERIES = {"repeat": "nightly", "repeat_count": "3"}


@pytest.fixture
def taken(site: PageSite) -> str:
    """Grace has everything on the morning that is asked for; the id of her booking."""
    return site.book("grace", "large", at(9), at(12)).id


def wanted(site: PageSite, name: str = "ada") -> list[tuple[datetime, datetime]]:
    found = waiting.entries(site.ctx, site.actor(name), waiting.Query())
    return [(entry.wanted.start, entry.wanted.end) for entry in found]


def ticked(reader: Reader, name: str) -> str:
    """The value of the first checkbox of that name, as it would be sent."""
    found = [part.split('"')[0] for part in reader.html.split(f'name="{name}" value="')[1:]]
    return found[0]


def test_when_nothing_fits_it_may_be_waited_for_offered_and_taken(site: PageSite, taken: str) -> None:
    ada = reviewed(site.reader("ada"), title="Light curves").submit("/waitlist", "Tell me when it is free")
    assert ada.path == "/bookings"
    assert "Light curves" in ada.text
    assert "You are first" in ada.text
    bookings.cancel(site.ctx, site.actor("grace"), taken)
    site.pass_time(MINUTE)
    ada.get("/bookings")
    assert "Held for you until Mon 7 Jan 11:01" in ada.text
    offer = next(form.action for form in ada.parsed.forms if form.action.endswith("/confirm"))
    ada.submit(offer, "Take it")
    assert "It is yours" in ada.text
    assert spans(site, "ada") == [(at(9), at(12))]
    assert "Wanted" not in ada.get("/bookings").text


def test_an_offer_that_is_declined_is_free_for_others(site: PageSite, taken: str) -> None:
    ada = reviewed(site.reader("ada")).submit("/waitlist")
    bookings.cancel(site.ctx, site.actor("grace"), taken)
    site.pass_time(MINUTE)
    ada.get("/bookings")
    decline = next(form.action for form in ada.parsed.forms if form.action.endswith("/withdraw"))
    ada.submit(decline, "No thanks")
    assert "You wait for it no longer" in ada.text
    assert [row.state for row in site.rows("ada")] == [State.CANCELLED]
    site.book("grace", "large", at(9), at(12))


def test_a_wish_may_be_withdrawn(site: PageSite, taken: str) -> None:
    ada = reviewed(site.reader("ada")).submit("/waitlist")
    withdraw = next(form.action for form in ada.parsed.forms if form.action.endswith("/withdraw"))
    ada.submit(withdraw, "Withdraw")
    assert wanted(site) == []


def test_those_that_fit_are_booked_and_the_others_stay_wanted(site: PageSite, taken: str) -> None:
    ada = reviewed(site.reader("ada"), **SERIES)
    assert "2 of 3 fit" in ada.text
    page = ada.html
    ada.submit("/bookings", "Confirm", keep="1")
    assert "Booked. 1 other on the waiting list." in ada.text
    ada.html = page
    ada.submit("/bookings", "Confirm", keep="1")
    assert spans(site, "ada") == [(at(9, 1), at(12, 1)), (at(9, 2), at(12, 2))]
    assert wanted(site) == [(at(9), at(12))]


def test_without_the_tick_nothing_is_waited_for(site: PageSite, taken: str) -> None:
    reviewed(site.reader("ada"), **SERIES).submit("/bookings", "Confirm")
    assert wanted(site) == []


def test_the_nearest_may_be_booked_in_place_of_a_taken_one_which_is_then_not_wanted(
    site: PageSite, taken: str
) -> None:
    ada = reviewed(site.reader("ada"), **SERIES)
    assert "Tue 8 Jan, 12:00–15:00" in ada.text
    ada.submit("/bookings", "Confirm", keep="1", instead=ticked(ada, "instead"))
    assert spans(site, "ada") == [(at(12), at(15)), (at(9, 1), at(12, 1)), (at(9, 2), at(12, 2))]
    assert wanted(site) == []


def test_where_none_of_several_fits_the_nearest_of_each_can_be_ticked(site: PageSite, taken: str) -> None:
    for day in (1, 2):
        site.book("grace", "large", at(9, day), at(12, day))
    ada = reviewed(site.reader("ada"), **SERIES)
    assert "None of 3 fits" in ada.text
    ada.submit("/bookings", "Confirm", instead=ticked(ada, "instead"))
    assert spans(site, "ada") == [(at(12), at(15))]


def test_what_has_become_free_since_the_review_is_reviewed_again(site: PageSite, taken: str) -> None:
    ada = reviewed(site.reader("ada"))
    bookings.cancel(site.ctx, site.actor("grace"), taken)
    ada.submit("/waitlist")
    assert ada.status == 409
    assert "It fits" in ada.text
    assert wanted(site) == []


def test_what_has_become_free_is_told_beside_what_was_booked(site: PageSite, taken: str) -> None:
    ada = reviewed(site.reader("ada"), **SERIES)
    bookings.cancel(site.ctx, site.actor("grace"), taken)
    ada.submit("/bookings", "Confirm", keep="1")
    assert "The others are not on the waiting list: small is free" in ada.text
    assert len(site.rows("ada")) == 2


def test_a_forged_wish_is_refused(site: PageSite, taken: str) -> None:
    ada = reviewed(site.reader("ada"))
    page = ada.html
    for fields, status in (({"taken": "soon"}, 422), ({"package": "custom"}, 422)):
        ada.html = page
        ada.submit("/waitlist", **fields)
        assert ada.status == status
    ada.html = page
    ada.submit("/waitlist", taken="2031-06-01T09:00Z/2031-06-01T12:00Z")
    assert ada.status == 403
    assert wanted(site) == []


def test_what_others_wait_for_is_told_and_not_shown(site: PageSite, taken: str) -> None:
    reviewed(site.reader("ada"), title="Secret").submit("/waitlist")
    site.pass_time(MINUTE)
    root = reviewed(site.reader("root"), **HOURS).submit("/waitlist")
    assert "1 wish for the same hours is before yours" in root.text
    assert "Secret" not in root.text
