"""Booking without a script: review, confirm, and what happens when it cannot be had."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from booking.allocator.lifecycle import State
from booking.services import accounts
from tests.support.pages import PageSite, at
from tests.support.reader import Reader

HOURS = {
    "from_date": "2030-01-08",
    "from_hour": "09:00",
    "until_date": "2030-01-08",
    "until_hour": "12:00",
}


def reviewed(reader: Reader, **fields: str) -> Reader:
    """The form of the calendar, filled in and sent for review."""
    return reader.get("/calendar").submit("/calendar/review", **({"package": "small"} | HOURS | fields))


def spans(site: PageSite, name: str) -> list[tuple[datetime, datetime]]:
    return [(row.start, row.end) for row in site.rows(name)]


def test_a_review_says_what_it_costs_and_books_nothing(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"))
    assert "It fits" in ada.text
    assert "Tue 8 Jan, 09:00–12:00" in ada.text
    assert "6 core-hours" in ada.text
    assert "994 would be left" in ada.text
    assert spans(site, "ada") == []


def test_a_confirmed_review_is_a_booking_and_leads_to_it(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"), title="Light curves").submit("/bookings", "Confirm")
    assert "Booked." in ada.text
    assert "Light curves" in ada.text
    assert spans(site, "ada") == [(at(9), at(12))]


def test_a_second_click_is_the_same_booking(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"))
    page = ada.html
    first = ada.submit("/bookings", "Confirm").path
    ada.html = page
    assert ada.submit("/bookings", "Confirm").path == first
    assert len(site.rows("ada")) == 1


def test_somebody_who_is_not_signed_in_reviews_after_signing_in(site: PageSite) -> None:
    visitor = reviewed(site.reader())
    assert visitor.path.startswith("/login")
    visitor.submit("/login", name="ada", password="correct horse")
    assert "It fits" in visitor.text


def test_what_is_taken_is_refused_with_alternatives_that_really_book(site: PageSite) -> None:
    site.book("grace", "large", at(9), at(12))
    ada = reviewed(site.reader("ada"))
    assert "Not available" in ada.text
    assert "small is not free" in ada.text
    ada.submit("/bookings", "Later")
    assert "Booked." in ada.text
    assert spans(site, "ada") == [(at(12), at(15))]


def test_what_was_taken_between_review_and_confirmation_is_told_with_the_fresh_calendar(
    site: PageSite,
) -> None:
    ada = reviewed(site.reader("ada"), view="week")
    site.book("grace", "large", at(0), at(24))
    ada.submit("/bookings", "Confirm")
    assert ada.status == 409
    assert "Just taken" in ada.text
    assert ada.cells("small")[1] == "not available"
    assert ada.submit("/bookings", "Book this").status == 200
    assert len(site.rows("ada")) == 1


def test_a_rule_of_the_level_is_told_with_what_would_pass(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"), package="large", until_date="2030-01-28", until_hour="09:00")
    assert "One span may be 14 days long" in ada.text
    refused = reviewed(site.reader("ada"), until_date="2030-01-30")
    assert "Confirm" not in [text for form in refused.parsed.forms for _, _, text in form.buttons]


def test_a_level_cannot_be_talked_around_by_a_forged_field(site: PageSite) -> None:
    visitor = site.reader().get("/").submit("/try")
    reviewed(visitor, package="tiny", from_date="2030-01-07", until_date="2030-01-07", sharing="shared")
    visitor.submit("/bookings", "Confirm", package="large", sharing="reserved")
    assert visitor.status == 403
    assert "Your level may book only tiny" in visitor.text


def test_weekends_are_one_span_each(site: PageSite) -> None:
    fields = {"repeat": "weekends", "from_hour": "00:00", "until_hour": "24:00", "repeat_count": "4"}
    ada = reviewed(site.reader("ada"), **fields)
    assert "All 2 fit" in ada.text
    ada.submit("/bookings", "Confirm")
    assert spans(site, "ada") == [(at(0, 4), at(24, 5)), (at(0, 11), at(24, 12))]


def test_nights_cross_midnight_until_a_date(site: PageSite) -> None:
    fields = {"repeat": "nightly", "from_hour": "20:00", "until_hour": "06:00", "repeat_ends": "date"}
    ada = reviewed(site.reader("ada"), **fields, repeat_until="2030-01-10")
    ada.submit("/bookings", "Confirm")
    assert spans(site, "ada") == [(at(20, n), at(30, n)) for n in range(3)]


def test_chosen_weekdays_are_booked_as_often_as_asked(site: PageSite) -> None:
    reader = site.reader("ada").get("/calendar")
    fields = {"package": "tiny", "repeat": "weekdays", "repeat_count": "3"} | HOURS
    reader.submit("/calendar/review", **fields, weekday=["Tue", "Fri"])
    reader.submit("/bookings", "Confirm")
    assert spans(site, "ada") == [(at(9, n), at(12, n)) for n in (0, 3, 7)]


def test_of_a_series_those_that_fit_may_be_booked(site: PageSite) -> None:
    site.book("grace", "large", at(9, 1), at(12, 1))
    ada = reviewed(site.reader("ada"), repeat="nightly", repeat_count="3")
    assert "2 of 3 fit" in ada.text
    ada.submit("/bookings", "Confirm")
    assert spans(site, "ada") == [(at(9), at(12)), (at(9, 2), at(12, 2))]


def test_a_hold_keeps_others_out_until_it_is_confirmed(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"), package="large").submit("/bookings", "Hold it for me")
    assert "Held for you." in ada.text
    assert "Not available" in reviewed(site.reader("grace"), package="large").text
    ada.submit(f"{ada.path}/confirm")
    assert "Confirmed. It is yours." in ada.text
    assert [row.state for row in site.rows("ada")] == [State.CONFIRMED]


def test_a_hold_that_nobody_confirms_is_free_again(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"), package="large").submit("/bookings", "Hold it for me")
    site.pass_time(timedelta(minutes=16))
    assert "hold expired" in ada.get(ada.path).text
    assert "It fits" in reviewed(site.reader("grace"), package="large").text


def test_a_custom_size_is_booked_with_its_four_numbers(site: PageSite) -> None:
    numbers = {
        "notebook_cores": "2",
        "notebook_memory_mib": "1024",
        "worker_cores": "3",
        "worker_memory_mib": "512",
    }
    grace = reviewed(site.reader("grace"), package="custom", **numbers)
    grace.submit("/bookings", "Confirm")
    assert "5 cores" in grace.text
    site.book("root", "small", at(9), at(12))
    other = reviewed(site.reader("root"), package="custom", **numbers)
    assert "Not available" in other.text


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"until_hour": "08:00"}, "must be after the start"),
        ({"from_date": "2030-03-31", "from_hour": "01:00", "until_date": "2030-03-31"}, "no such hour"),
        ({"from_date": "2029-12-01", "until_date": "2029-12-01"}, "lies before the current hour"),
        ({"from_date": "2045-12-01", "until_date": "2045-12-01"}, "the end of the calendar"),
        ({"repeat": "nightly", "repeat_count": "900"}, "from 1 to 366"),
        ({"package": "huge"}, "there is no package"),
        ({"repeat": "sometimes"}, "is one of"),
        ({"title": "a\x07b"}, "is one line"),
    ],
)
def test_what_is_wrong_with_a_form_is_said(site: PageSite, fields: dict[str, str], said: str) -> None:
    grace = reviewed(site.reader("grace"), **fields)
    assert grace.status == 422
    assert said in grace.text


def test_a_doubled_hour_can_be_chosen_exactly(site: PageSite) -> None:
    day = "2030-10-27"
    grace = reviewed(
        site.reader("grace"), from_date=day, from_hour="01:00/2", until_date=day, until_hour="02:00"
    )
    grace.submit("/bookings", "Confirm")
    (row,) = site.rows("grace")
    assert row.start.isoformat() == "2030-10-27T01:00:00+00:00"
    assert row.end - row.start == timedelta(hours=1)


def test_what_people_type_is_shown_as_text(site: PageSite) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
    ada = reviewed(site.reader("ada"), title=hostile).submit("/bookings", "Confirm")
    assert "<img src=x" not in ada.html
    assert hostile in ada.text
    assert "<img src=x" not in ada.get("/bookings").html
    assert "<img src=x" not in ada.get("/calendar").html


def test_nobody_confirms_without_a_tick(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"), repeat="nightly", repeat_count="2")
    ada.submit("/bookings", "Confirm", span=None)
    assert ada.status == 422
    assert "tick at least one" in ada.text
    assert site.rows("ada") == []


def test_a_disabled_account_can_book_no_more(site: PageSite) -> None:
    ada = reviewed(site.reader("ada"))
    accounts.change(site.ctx, None, "ada", accounts.AccountChange(disabled=True))
    ada.submit("/bookings", "Confirm")
    assert site.rows("ada") == []
