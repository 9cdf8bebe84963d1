"""The page of usage: bars, tables, and what was refused."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from booking.errors import NoCapacity
from tests.support.pages import PageSite, at

FIRST_WEEK = "from=2030-01-07&to=2030-01-13"


@pytest.fixture
def busy(site: PageSite) -> PageSite:
    """Ada and Grace have booked; Grace wanted more than there is."""
    site.book("ada", "small", at(9), at(12))
    site.book("grace", "medium", at(10), at(12))
    with pytest.raises(NoCapacity):
        site.book("grace", "large", at(10), at(12))
    return site


def bars(text: str) -> list[str]:
    """The kinds of the parts that are drawn."""
    return re.findall(r'<rect class="(\w+)"', text)


def test_one_sees_ones_own_and_an_administrator_everybodys(busy: PageSite) -> None:
    ada = busy.reader("ada").get(f"/usage?{FIRST_WEEK}")
    assert "My usage" in ada.text
    assert ">small</th>" in ada.html
    assert ">medium</th>" not in ada.html
    assert "Nothing was refused" in ada.text
    root = busy.reader("root").get(f"/usage?{FIRST_WEEK}&by=account")
    assert ">ada</th>" in root.html
    assert ">grace</th>" in root.html
    assert 'scope="row">large</th><td class="n">16</td><td class="n">1</td>' in root.html


def test_bars_show_what_was_used_what_was_idle_and_what_is_to_come(busy: PageSite) -> None:
    ada = busy.reader("ada")
    assert bars(ada.get(f"/usage?{FIRST_WEEK}").html) == ["ahead"]
    busy.pass_until(at(9) + timedelta(minutes=20))
    busy.pass_until(at(10))
    assert bars(ada.get(f"/usage?{FIRST_WEEK}").html) == ["used", "idle", "ahead"]
    assert '<polyline class="physical"' not in ada.html
    assert "<title id=" in ada.html
    assert '<polyline class="physical"' in busy.reader("root").get(f"/usage?{FIRST_WEEK}").html


def test_usage_is_found_from_every_page_by_those_who_are_signed_in(site: PageSite) -> None:
    assert 'href="/usage"' in site.reader("ada").get("/calendar").html
    assert 'href="/usage"' not in site.reader().get("/calendar").html
    assert site.reader().get("/usage").path.startswith("/login")


def test_where_nothing_is_booked_the_page_says_so(site: PageSite) -> None:
    assert "You have booked nothing in this time" in site.reader("ada").get("/usage").text
    assert "a group that you administer" in site.reader("ada").get("/usage?by=group").text
    assert "Nobody has booked anything" in site.reader("root").get("/usage").text


def test_the_last_day_that_is_asked_for_belongs_to_the_answer(busy: PageSite) -> None:
    page = busy.reader("ada").get("/usage?from=2030-01-08&to=2030-01-08")
    assert ">8 Jan</th>" in page.html
    assert ">9 Jan</th>" not in page.html


def test_the_sheet_holds_the_same(busy: PageSite) -> None:
    ada = busy.reader("ada").get(f"/usage?{FIRST_WEEK}&granularity=week")
    link = re.search(r'href="(/api/v1/usage\?[^"]+)"', ada.html)
    assert link is not None
    answer = ada.client.get(link[1].replace("&amp;", "&"))
    assert answer.mimetype == "text/csv"
    assert answer.get_data(as_text=True).splitlines()[1].split(",")[2:4] == ["small", "6.0"]


@pytest.mark.parametrize(
    "query, says",
    [
        ("from=yesterday", "Is a date such as"),
        ("from=2030-01-08&to=2030-01-01", "Must be after from"),
        ("by=colour", "Is one of package"),
        ("granularity=hour", "Is one of day"),
        ("from=2028-01-01&to=2030-01-01", "more than 400 bars"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(site: PageSite, query: str, says: str) -> None:
    page = site.reader("ada").get(f"/usage?{query}")
    assert page.status == 422
    assert says in page.text


def test_others_usage_needs_an_administrator(busy: PageSite) -> None:
    assert busy.reader("ada").get("/usage?by=account").status == 403
