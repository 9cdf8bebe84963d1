"""Times in a second zone beside the pool's: half-hour offsets, clock changes, and addresses that carry it."""

from __future__ import annotations

import re

from flask import Flask

from tests.support.pages import PageSite, at, make_page_site


def marks(html: str, row: str) -> list[str]:
    """The marks over the hours, of the pool's zone (`marks`) or the second one (`marks also`)."""
    found = re.search(rf'<tr role="row" class="{row}".*?</tr>', html, re.DOTALL)
    return re.findall(r"<td[^>]*>([^<]*)</td>", found.group())[1:] if found else []


def test_hours_are_said_in_a_second_zone_with_half_hours(site: PageSite) -> None:
    html = site.reader("ada").get("/calendar?view=day&start=2030-01-08&timezone=Asia/Kolkata").html
    assert marks(html, "marks")[:3] == ["00", "01", "02"]
    assert marks(html, "marks also")[:3] == ["05:30", "06:30", "07:30"]
    assert "also Asia/Kolkata, UTC+05:30" in html


def test_the_day_of_a_clock_change_has_as_many_marks_in_the_second_zone(site: PageSite) -> None:
    html = site.reader().get("/calendar?view=day&start=2030-10-27&timezone=UTC").html
    assert marks(html, "marks")[:4] == ["00", "01 BST", "01 GMT", "02"]
    assert marks(html, "marks also")[:4] == ["23", "00", "01", "02"]
    assert len(marks(html, "marks also")) == 25


def test_where_half_hours_would_not_fit_there_are_fewer_marks(site: PageSite) -> None:
    reader = site.reader()
    kolkata = marks(reader.get("/calendar?view=hours&timezone=Asia/Kolkata").html, "marks also")
    utc = marks(reader.get("/calendar?view=hours&timezone=UTC").html, "marks also")
    assert (len(kolkata), len(utc)) == (14, 28)
    assert kolkata[:2] == ["05:30", "17:30"]


def test_a_pool_on_lord_howe_has_its_half_hour_day(app: Flask) -> None:
    site = make_page_site(app, "Australia/Lord_Howe")
    html = site.reader().get("/calendar?view=day&start=2030-04-07&timezone=UTC").html
    assert len(marks(html, "marks")) == len(marks(html, "marks also"))


def test_every_way_on_keeps_the_second_zone_and_what_is_mine_is_said_in_both(site: PageSite) -> None:
    site.book("ada", "small", at(9, 1), at(12, 1))
    page = site.reader("ada").get("/calendar?timezone=Asia/Kolkata")
    assert "Wed 9 Jan, 09:00–12:00 (Wed 9 Jan, 14:30–17:30)" in page.text
    ways = [href for href in re.findall(r'href="(/calendar\?[^"]+)"', page.html) if "review" not in href]
    assert len(ways) > 20
    assert all("timezone=Asia%2FKolkata" in href for href in ways)


def test_an_unknown_zone_is_refused_by_name(site: PageSite) -> None:
    page = site.reader().get("/calendar?timezone=Mars/Base")
    assert page.status == 400
    assert "timezone" in page.text.lower()


def test_the_zone_of_the_pool_itself_is_no_second_one(site: PageSite) -> None:
    assert "also" not in marks(
        site.reader().get("/calendar?view=day&timezone=Europe/London").html, "marks also"
    )
