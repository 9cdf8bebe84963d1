"""The language of a page: which one it is, that all of it follows, and that nobody gets another's."""

from __future__ import annotations

import re
from datetime import date

import pytest
from flask import Flask

from booking.pages.language import dated, length, number, spoken_in
from tests.support.pages import PageSite, at
from tests.support.reader import Reader

WEEK = "/calendar?start=2030-01-14"
GERMAN = {"Accept-Language": "de"}


def language_of(reader: Reader) -> str:
    found = re.search(r'<html lang="(\w+)" dir="ltr">', reader.html)
    assert found
    assert reader.response.headers["Content-Language"] == found[1]
    return found[1]


def cookies(reader: Reader) -> list[str]:
    """The cookies of the language that came with a page."""
    return [cookie for cookie in reader.response.headers.getlist("Set-Cookie") if cookie.startswith("lang=")]


def german(site: PageSite, name: str | None = None) -> Reader:
    """A reader who has chosen German at the foot of a page."""
    reader = site.reader(name).get("/").follow("Deutsch")
    assert language_of(reader) == "de"
    return reader


@pytest.mark.parametrize(
    "accepted, expected",
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("fr,de;q=0.5,en;q=0.3", "de"),
        ("de;q=0,en", "en"),
        ("fr,*;q=0.1", "en"),
        ("??;;q=x", "en"),
    ],
)
def test_a_page_is_in_the_first_language_of_the_browser_that_there_is(
    site: PageSite, accepted: str, expected: str
) -> None:
    assert language_of(site.reader().get("/", headers={"Accept-Language": accepted})) == expected


def test_a_language_that_was_chosen_is_kept_and_stands_over_that_of_the_browser(site: PageSite) -> None:
    reader = site.reader().get(f"{WEEK}&lang=de", headers={"Accept-Language": "en"})
    (cookie,) = cookies(reader)
    assert cookie.startswith("lang=de;")
    assert all(word in cookie for word in ("SameSite=Lax", "HttpOnly", "Path=/", "Max-Age=31536000"))
    assert language_of(reader.get("/", headers={"Accept-Language": "en"})) == "de"
    assert cookies(reader) == []
    assert language_of(reader.follow("English")) == "en"
    assert language_of(reader.get("/login", headers=GERMAN)) == "en"


@pytest.mark.parametrize("code", ["fr", "DE", "de-DE", "", "../de", "de\r\nx: y"])
def test_a_language_that_is_not_there_is_passed_over(site: PageSite, code: str) -> None:
    reader = site.reader().get("/", query_string={"lang": code})
    assert language_of(reader) == "en"
    assert cookies(reader) == []
    reader.client.set_cookie("lang", "fr")
    assert language_of(reader.get("/", headers=GERMAN)) == "de"


def test_the_foot_of_a_page_offers_every_language_at_the_same_address(site: PageSite) -> None:
    reader = site.reader().get("/calendar?view=month&package=small&package=tiny&lang=de")
    links = re.findall(r'<a href="([^"]*)" lang="(\w+)" hreflang="(\w+)"([^>]*)>(\w+)<', reader.html)
    same = "/calendar?view=month&amp;package=small&amp;package=tiny&amp;lang="
    assert links == [
        (f"{same}en", "en", "en", "", "English"),
        (f"{same}de", "de", "de", ' aria-current="true"', "Deutsch"),
    ]


def test_what_answers_a_form_leads_home_since_it_has_no_address(app: Flask) -> None:
    with app.test_request_context("/bookings", method="POST"):
        assert spoken_in("de") == "/?lang=de"


def test_every_page_depends_on_the_language_of_the_browser_and_on_cookies(site: PageSite) -> None:
    for path in ("/", WEEK, "/nothing"):
        assert {"Accept-Language", "Cookie"} <= set(site.reader().get(path).response.vary.as_set(True)), path


def test_the_calendar_is_in_german(site: PageSite) -> None:
    site.book("grace", "medium", at(0, 7), at(24, 7))
    site.book("grace", "large", at(9, 8), at(12, 8))
    made = site.book("ada", "tiny", at(9, 7), at(12, 7))
    reader = german(site, "ada").get(WEEK)
    assert re.findall(r'class="dow">(\w+)<', reader.html) == ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"]
    assert "14. – 20. Januar 2030" in reader.text
    assert reader.cells("small")[:2] == ["verfügbar, noch 4", "verfügbar, noch 1"]
    free, none, part = reader.cells("large")[:3]
    assert (free, none) == ("verfügbar, noch 1", "nicht verfügbar")
    assert part == "ein Teil des Tages: bis zu 12 Stunden am Stück"
    assert reader.cells("tiny")[1] == "Ihre Buchung, Di 15. Jan, 09:00–12:00"
    assert 'title="Stunden am Dienstag, 15. Januar"' in reader.html
    assert f"/bookings/{made.id}" in reader.html
    assert "1 Kern, 1 GiB" in reader.text


def test_a_review_is_in_german_and_books(site: PageSite) -> None:
    reader = german(site, "ada").get(
        "/calendar/review?package=small&sharing=reserved&from_hour=09:00&until_hour=11:00"
        "&from_date=2030-01-15&until_date=2030-01-15"
    )
    assert "Es passt" in reader.text
    assert "Di 15. Jan, 09:00–11:00" in reader.text
    assert "4 Kernstunden" in reader.text
    reader.submit("/bookings")
    assert "Gebucht." in reader.text
    assert "niemand kann sie Ihnen nehmen" in reader.text
    assert "2 Kerne, 3 GiB" in reader.text
    assert language_of(reader) == "de"


def test_a_form_with_faults_names_its_fields_in_german(site: PageSite) -> None:
    reader = german(site, "ada").get("/calendar/review?package=small&until_date=soon&repeat_count=x")
    assert "Bis (Tag) ist ein Datum wie 2030-01-31" in reader.text
    assert "Anzahl der Termine ist eine ganze Zahl" in reader.text


def test_the_landing_page_and_errors_are_in_german(site: PageSite) -> None:
    reader = german(site)
    assert "Ihr Cluster, wenn Sie ihn brauchen." in reader.text
    assert "jetzt frei" in reader.text
    assert "Diese Seite gibt es nicht." in reader.get("/nothing").text
    assert "404 Nicht gefunden" in reader.text


def test_administration_is_in_german_with_its_numbers(site: PageSite) -> None:
    reader = german(site, "root").get("/admin/capacity")
    assert "Was vorhanden ist und was entzogen ist" in reader.text
    assert "Bestand" in reader.text
    assert "Heute, Montag, 7. Januar 2030" in reader.get("/admin/today").text


def test_what_is_kept_of_a_calendar_is_never_shown_in_the_language_of_another(site: PageSite) -> None:
    one, other = site.reader(), german(site)
    for _ in range(2):
        assert "available, 4 left" in one.get(WEEK).html
        assert "verfügbar, noch 4" in other.get(WEEK).html
        assert "available" not in other.html


def test_who_has_seen_a_calendar_in_one_language_is_sent_it_in_another(site: PageSite) -> None:
    reader = site.reader().get(WEEK)
    refresh = re.search(r'hx-get="([^"]*seen=\w+)"', reader.html)
    assert refresh
    asked = refresh[1].replace("&amp;", "&")
    htmx = {"HX-Request": "true"}
    assert reader.get(asked, headers=htmx).status == 204
    assert "no-store" in reader.response.headers["Cache-Control"]
    assert reader.get(asked, headers=htmx | GERMAN).status == 200
    assert "verfügbar, noch 4" in reader.html


def test_what_answers_programs_stays_english(site: PageSite) -> None:
    reader = site.reader("ada").get("/api/v1/bookings/nothing", headers=GERMAN)
    assert reader.status == 404
    assert "There is no booking" in reader.html
    assert "Content-Language" not in reader.response.headers
    reader.get("/calendar.txt?start=2030-01-14", headers=GERMAN)
    assert "Mon Tue Wed" in reader.html


def test_dates_numbers_and_lengths_follow_the_language(app: Flask) -> None:
    day = date(2030, 3, 9)

    def said() -> list[str]:
        return [dated(day, "EEE d MMM"), dated(day, "EEEE d MMMM y"), number(1234.5, 1), length(1, "day")]

    english = ["Sat 9 Mar", "Saturday 9 March 2030", "1,234.5", "1 day"]
    assert said() == english
    with app.test_request_context("/"):
        assert said() == english
    with app.test_request_context("/?lang=de"):
        assert said() == ["Sa 9. Mär", "Samstag, 9. März 2030", "1.234,5", "1 Tag"]
