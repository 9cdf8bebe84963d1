"""Every page in a browser: no fault, no violation of the policy, no barrier, nothing cut off; and it stays alive."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.models import Blackout
from booking.resources import static_path
from booking.services import bookings, capacity, templates
from booking.services.templates import Card
from tests.browser.conftest import Open
from tests.support.pages import POOL, SERVICE, PageSite, at

AXE = (Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE = {"width": 390, "height": 844}
SMALLEST = {"width": 320, "height": 640}
DESKTOP = {"width": 1366, "height": 850}
OPEN = ["/", "/login", "/calendar", "/no/such/page"]
OWN = [
    "/calendar?start=2030-01-14",
    "/calendar?view=day&start=2030-10-27",
    "/calendar?view=hours&start=2030-01-14",
    "/calendar?view=month",
    "/calendar?view=10w",
    "/calendar/review?package=small&from_date=2030-01-15&from_hour=09:00&until_date=2030-01-15&until_hour=12:00",
    "/calendar/review?package=large&from_date=2030-01-16&from_hour=09:00&until_date=2030-01-16&until_hour=12:00",
    "/calendar/review?package=large&from_date=2030-01-16&from_hour=09:00&until_hour=12:00&repeat=nightly&repeat_count=3",
    "/calendar/review?package=tiny&from_date=2030-01-01&until_date=2030-01-01",
    "/bookings",
    "/usage?from=2030-01-06&to=2030-01-20",
    "/usage?from=2031-01-06&to=2031-01-20",
    "/account",
    "/logout",
]
ADMIN = [
    "/admin/today",
    "/admin/capacity",
    "/admin/packages",
    "/admin/templates",
    "/admin/accounts",
    "/admin/journal",
    "/bookings?whose=all",
    "/usage?by=account",
]
CARD = Card(
    "Curves of light", "small", timedelta(hours=2), "Fit a curve.", "https://example.org/curves.ipynb"
)


@pytest.fixture
def busy(site: PageSite) -> str:
    """The site with something of everything; the id of a booking that runs."""
    running = site.book("ada", "small", at(9, -1), at(20, -1), title='Curves <b>"of"</b> light')
    site.book("ada", "tiny", at(9, 7), at(12, 7))
    site.book("grace", "large", at(9, 8), at(18, 8))
    gone = capacity.Holding(Span(at(0, 10), at(24, 10)), Resources(8, 32768), "new <power> supply")
    capacity.edit(site.ctx, SERVICE, capacity.Edit(POOL, Blackout, None, gone))
    templates.make(site.ctx, SERVICE, CARD)
    old = site.book("ada", "tiny", at(9, 3), at(12, 3))
    bookings.cancel(site.ctx, site.actor("ada"), old.id)
    given_back = site.book("grace", "large", at(9, 5), at(18, 5))
    for day in (5, 8):
        site.want("root", "small", at(9, day), at(12, day))
        site.want("ada", "small", at(9, day), at(12, day))
    bookings.cancel(site.ctx, site.actor("grace"), given_back.id)
    site.pass_time(timedelta(minutes=1))
    return running.id


def barriers(page: Page) -> list[str]:
    """What axe finds wrong with a page."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate(
        "(rules) => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})",
        RULES,
    )
    return [
        f"{entry['id']}: {node['html'][:120]}" for entry in found["violations"] for node in entry["nodes"]
    ]


def cut_off(page: Page) -> int:
    """By how many pixels a page is wider than its window."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wide


@pytest.mark.parametrize("look", ["light", "dark", "phone", "dark phone"])
def test_no_page_has_a_barrier_or_breaks_the_policy(
    site: PageSite, visit: Open, busy: str, look: str
) -> None:
    options: dict[str, Any] = {"viewport": PHONE if "phone" in look else DESKTOP}
    options["color_scheme"] = "dark" if "dark" in look else "light"
    found = {}
    detail = [f"/bookings/{busy}", f"/bookings/{busy}/cancel"]
    for name, paths in ((None, OPEN), ("ada", OWN + detail), ("root", ADMIN)):
        visitor = visit(name, **options)
        for path in paths:
            page = visitor.go(path)
            if wrong := barriers(page):
                found[path] = wrong
            if wide := cut_off(page):
                found.setdefault(path, []).append(f"{wide} pixels too wide")
    assert found == {}, json.dumps(found, indent=1)


def test_nothing_scrolls_sideways_on_the_smallest_phone(visit: Open, busy: str) -> None:
    visitor = visit("root", viewport=SMALLEST)
    paths = [*OPEN, *OWN, *ADMIN, f"/bookings/{busy}"]
    assert {path: wide for path in paths if (wide := cut_off(visitor.go(path)))} == {}


def test_a_form_that_opens_in_a_wide_table_is_seen_whole_on_a_phone(visit: Open, busy: str) -> None:
    visitor = visit("root", viewport=PHONE)
    visitor.page.goto(f"{visitor.url}/admin/capacity")
    visitor.page.locator(".plain-table .popover summary").nth(1).click()
    form = visitor.page.locator(".popover[open] .pop")
    expect(form).to_be_visible()
    visitor.page.wait_for_function(_IS_WHOLE)


_IS_WHOLE = """() => {
  const form = document.querySelector(".popover[open] .pop").getBoundingClientRect();
  const table = document.querySelector(".scroll:has(.popover[open])").getBoundingClientRect();
  return table.left <= form.left && form.right <= table.right;
}"""


def test_hostile_text_never_runs(site: PageSite, visit: Open) -> None:
    hostile = "<img src=x onerror=document.title='run'><a hx-on:click=\"document.title='run'\">x</a>"
    made = site.book("ada", "small", at(9), at(12), title=hostile)
    visitor = visit("ada")
    for path in (f"/bookings/{made.id}", "/bookings", "/calendar"):
        page = visitor.go(path)
        expect(page.locator("body")).to_contain_text("onerror=document.title")
        assert page.title() != "run"


def test_a_page_looks_again_while_something_moves_and_stops_by_itself(site: PageSite, visit: Open) -> None:
    made = site.book("ada", "small", at(9), at(12))
    site.pass_until(at(9) - timedelta(seconds=40))
    visitor = visit("ada")
    page = visitor.go(f"/bookings/{made.id}")
    status = page.locator("#status")
    expect(status).to_contain_text("being prepared")
    site.pass_until(at(9) + timedelta(seconds=10))
    expect(status).to_contain_text("running")
    expect(page.get_by_role("link", name="Open notebook")).to_be_visible()
    asked = visitor.asked("/status")
    assert asked >= 1
    page.wait_for_timeout(5000)
    assert visitor.asked("/status") == asked


def test_what_a_card_has_booked_opens_by_itself_when_it_is_ready(site: PageSite, visit: Open) -> None:
    templates.make(site.ctx, SERVICE, CARD)
    page = visit("ada").go("/")
    page.route("**/open/notebook", lambda route: route.fulfill(body="This is the notebook."))
    page.get_by_role("button", name="Book and open").click()
    expect(page.locator("#status")).to_contain_text("opens here by itself")
    site.pass_time(timedelta(seconds=5))
    expect(page.locator("body")).to_have_text("This is the notebook.")


def test_without_a_script_a_link_looks_again(site: PageSite, visit: Open) -> None:
    made = site.book("ada", "small", at(9), at(12))
    site.pass_until(at(9) - timedelta(seconds=40))
    page = visit("ada", java_script_enabled=False).go(f"/bookings/{made.id}")
    site.pass_until(at(9) + timedelta(seconds=10))
    page.click("text=Look again")
    expect(page.locator("#status")).to_contain_text("running")


def test_moving_in_time_swaps_the_calendar_and_back_brings_it_back(visit: Open) -> None:
    visitor = visit("ada")
    page = visitor.go("/calendar?start=2030-01-14")
    whole = visitor.asked("/static/app.css")
    page.click("#calendar a[rel=next]")
    expect(page.locator("#calendar-title")).to_have_text("21 – 27 January 2030")
    assert page.url.endswith("/calendar?start=2030-01-21")
    assert page.title().startswith("21 – 27 January 2030")
    expect(page.locator("input[name=start][form=book]")).to_have_value("2030-01-21")
    page.click("text=Month")
    expect(page.locator("#calendar-title")).to_have_text("January 2030")
    assert visitor.asked("/static/app.css") == whole
    page.go_back()
    expect(page.locator("#calendar-title")).to_have_text("21 – 27 January 2030")
    page.reload()
    expect(page.locator("header.top")).to_be_visible()
    expect(page.locator("#calendar-title")).to_have_text("21 – 27 January 2030")


def test_a_refreshed_calendar_keeps_the_place_and_what_was_chosen(site: PageSite, visit: Open) -> None:
    page = visit("ada", viewport={"width": 900, "height": 700}).go("/calendar?view=hours&start=2030-01-14")
    chosen = page.locator('tr[data-package="small"] td[data-s="2030-01-16T00:00"] a')
    chosen.focus()
    page.keyboard.press(" ")
    expect(page.locator("#review .confirm")).to_be_visible()
    page.evaluate("document.querySelector('.grid-frame').scrollLeft = 60")
    left = page.evaluate("document.querySelector('.grid-frame').scrollLeft")
    site.book("grace", "large", at(9, 10), at(18, 10))
    page.evaluate(
        "htmx.ajax('GET', document.getElementById('calendar').getAttribute('hx-get'), {target: '#calendar', swap: 'outerMorph'})"
    )
    expect(page.locator('tr[data-package="large"] td.none')).to_have_count(1)
    assert page.evaluate("document.querySelector('.grid-frame').scrollLeft") == left
    expect(chosen).to_be_focused()
    expect(page.locator("td[aria-selected=true]")).to_have_count(1)


def test_the_pages_are_light(visit: Open, busy: str) -> None:
    visitor = visit("ada")
    for path in ("/calendar", "/calendar?view=month", "/calendar?view=hours", f"/bookings/{busy}"):
        page = visitor.go(path)
        assert page.evaluate("document.querySelectorAll('*').length") < 3000, path
    scripts = {urlsplit(address).path for address in visitor.requests if ".js" in address}
    assert len(scripts) == 3
    assert sum((static_path().parent / path.lstrip("/")).stat().st_size for path in scripts) < 60_000


def test_giving_it_a_try_books_in_three_clicks(site: PageSite, visit: Open) -> None:
    page = visit().go("/")
    page.get_by_role("button", name="Give it a try").click()
    expect(page.locator(".ribbon")).to_contain_text("Everything in it goes when you sign out")
    page.fill("#from_date", "2030-01-07")
    page.select_option("#from_hour", "09:00")
    page.fill("#until_date", "2030-01-07")
    page.select_option("#until_hour", "11:00")
    page.click("#book button.primary")
    page.click("#review .confirm .primary")
    expect(page.locator("#status")).to_contain_text("booked")
    site.pass_time(timedelta(seconds=1))
    expect(page.get_by_role("link", name="Open notebook")).to_be_visible()
