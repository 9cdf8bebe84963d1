"""German in a browser: longer words break no page, and what a script writes is German, too."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.test_pages import ADMIN, OPEN, OWN, SMALLEST, barriers, busy, cut_off
from tests.support.pages import PageSite, at

__all__ = ["busy"]


def test_no_page_in_german_has_a_barrier_or_scrolls_sideways(visit: Open, busy: str) -> None:
    visitor = visit("root", locale="de-DE", viewport=SMALLEST)
    found = {}
    for path in [*OPEN, *OWN, *ADMIN, f"/bookings/{busy}", f"/bookings/{busy}/cancel"]:
        page = visitor.go(path)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        if wrong := barriers(page):
            found[path] = wrong
        if wide := cut_off(page):
            found.setdefault(path, []).append(f"{wide} pixels too wide")
    assert found == {}, json.dumps(found, indent=1)


def test_what_is_left_is_counted_down_in_the_language_of_the_page(site: PageSite, visit: Open) -> None:
    made = site.book("ada", "small", at(9), at(12))
    page = visit("ada").go(f"/bookings/{made.id}")
    page.get_by_role("link", name="Deutsch").click()
    left = page.locator("[data-until]")
    expect(left).to_have_text("1 Tag")
    page.evaluate(f"document.querySelector('[data-now]').dataset.now = '{at(8, -1).isoformat()}'")
    expect(left).to_have_text("1 Tag 1 Stunde", timeout=15000)
