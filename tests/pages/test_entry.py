"""Coming in and leaving."""

from __future__ import annotations

import re

import pytest

from booking.allocator.lifecycle import State
from booking.doors import Db
from booking.errors import Unavailable
from tests.support.pages import PageSite, at


def test_somebody_signs_in_and_is_led_to_where_they_wanted(site: PageSite) -> None:
    ada = site.reader().get("/bookings?whose=shared")
    assert "Sign in" in ada.text
    ada.submit("/login", name="ada", password="correct horse")
    assert ada.path == "/bookings?whose=shared"
    assert "ada" in ada.text


def test_a_wrong_password_is_told_without_saying_which_of_the_two_was_wrong(site: PageSite) -> None:
    one = site.reader().get("/login").submit("/login", name="ada", password="not it at all")
    other = site.reader().get("/login").submit("/login", name="nobody", password="not it at all")
    assert one.status == other.status == 401
    said = "The name or the password is not right."
    assert said in one.text
    assert said in other.text
    assert ("name", "ada") in one.form("/login").fields


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org", "/\\example.org", "/\t/example.org"]
)
def test_signing_in_never_leads_to_another_site(site: PageSite, elsewhere: str) -> None:
    reader = site.reader().get("/login", query_string={"next": elsewhere})
    reader.submit("/login", name="ada", password="correct horse", next=elsewhere)
    assert reader.path == "/calendar"


def test_give_it_a_try_needs_no_form_and_warns_that_everything_goes(site: PageSite) -> None:
    visitor = site.reader().get("/").submit("/try")
    assert visitor.path == "/calendar"
    assert "Trial account." in visitor.text
    assert "goes when you sign out" in visitor.text
    packages = set(re.findall(r'data-package="(\w+)"', visitor.html))
    assert packages == {"tiny"}
    assert ("sharing", "shared") in visitor.form("/calendar/review").fields


def test_leaving_a_trial_account_asks_first_and_then_everything_goes(site: PageSite) -> None:
    visitor = (
        site.reader()
        .get("/")
        .submit("/try")
        .get(
            "/calendar/review?package=tiny&sharing=shared&from_date=2030-01-07&from_hour=09:00&until_date=2030-01-07&until_hour=11:00"
        )
    )
    visitor.submit("/bookings", "Confirm")
    assert "Booked." in visitor.text
    name = re.search(r"guest-\w+", visitor.text)
    assert name is not None
    visitor.follow("Sign out")
    assert "lose everything" in visitor.text
    visitor.submit("/logout", "Sign out and delete")
    assert "everything of the trial account is gone" in visitor.text
    assert [row.state for row in site.rows(name[0])] == [State.CANCELLED]
    assert "Sign in" in visitor.get("/bookings").text


def test_a_booking_outlives_the_session_it_was_made_in(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    ada = site.reader("ada").get("/bookings")
    ada.submit("/logout")
    assert "You are signed out." in ada.text
    assert made.id in site.reader("ada").get("/bookings").html


def test_a_form_without_its_proof_is_refused(site: PageSite) -> None:
    reader = site.reader().get("/login")
    reader.submit("/login", name="ada", password="correct horse", csrf_token=None)
    assert reader.status == 400
    assert "did not come from this site" in reader.text
    assert "Sign in" in reader.get("/bookings").text


def test_too_many_trials_from_one_place_must_wait(site: PageSite) -> None:
    for _ in range(20):
        assert site.reader().get("/").submit("/try").status == 200
    late = site.reader().get("/").submit("/try")
    assert late.status == 429
    assert int(late.response.headers["Retry-After"]) > 0


def test_guessing_passwords_is_slowed_down(site: PageSite) -> None:
    for _ in range(10):
        assert site.reader().get("/login").submit("/login", name="ada", password="a bad guess").status == 401
    assert site.reader().get("/login").submit("/login", name="ada", password="correct horse").status == 429


def test_the_landing_page_says_what_there_is_and_when_it_is_free(site: PageSite) -> None:
    site.book("grace", "medium", at(9, -1), at(20, -1))
    home = site.reader().get("/")
    assert "Give it a try" in home.text
    assert "8 cores" in home.text
    assert "next free Mon 7 Jan 20:00" in home.text
    assert "free now" in home.text
    assert "custom" not in home.text


def test_nothing_of_a_page_is_kept_by_a_browser_or_a_proxy(site: PageSite) -> None:
    response = site.reader("ada").get("/bookings").response
    assert response.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in response.headers["Vary"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_an_unknown_page_is_a_page(site: PageSite) -> None:
    reader = site.reader().get("/no/such/page")
    assert reader.status == 404
    assert "There is no such page." in reader.text
    assert "Calendar" in reader.text


def test_what_the_api_refuses_stays_a_problem_and_no_page(site: PageSite) -> None:
    response = site.app.test_client().get("/api/v1/no/such/route")
    assert response.status_code == 404
    assert response.mimetype == "application/problem+json"


def test_a_database_that_is_away_is_told_as_a_page(site: PageSite, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = site.reader("ada")

    def away(*_: object) -> None:
        raise Unavailable("The database cannot be reached or written at the moment.")

    monkeypatch.setattr(Db, "read", away)
    ada.get("/bookings")
    assert ada.status == 503
    assert "The database cannot be reached" in ada.text
    assert int(ada.response.headers["Retry-After"]) > 0


def test_what_nobody_foresaw_is_told_without_its_cause(
    site: PageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = site.reader("ada")
    monkeypatch.setattr("booking.services.listing.bookings", lambda *_: 1 / 0)
    ada.get("/bookings")
    assert ada.status == 500
    assert "Something went wrong here" in ada.text
    assert "ZeroDivision" not in ada.html
    assert ada.response.headers["X-Request-Id"] in ada.text


def test_a_program_with_a_bad_token_is_told_so_and_not_led_to_a_form(site: PageSite) -> None:
    answer = site.app.test_client().get("/calendar.txt", headers={"Authorization": "Bearer nothing"})
    assert answer.status_code == 401


def test_a_visitor_sees_what_is_too_far_ahead_for_a_trial(site: PageSite) -> None:
    visitor = site.reader().get("/").submit("/try")
    fields = dict(visitor.form("/calendar/review").fields)
    assert (fields["from_hour"], fields["until_hour"]) == ("09:00", "11:00")
    said = visitor.cells("tiny")
    assert said[0].startswith("available")
    assert set(said[1:]) == {"further ahead than your level may book"}


@pytest.mark.parametrize("path", ["/bookings/%00", "/calendar?pool=a%00b", "/bookings/%ED%A0%80"])
def test_characters_that_no_text_may_have_are_refused(site: PageSite, path: str) -> None:
    assert site.reader("ada").get(path).status in (400, 404)
