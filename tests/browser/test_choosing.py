"""Choosing cells and booking them: with the mouse, a finger, the keyboard, or without a script."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Open, Visitor
from tests.support.pages import PageSite, at

WEEK = "/calendar?start=2030-01-14"


def cell(page: Page, package: str, start: str) -> str:
    return f'tr[data-package="{package}"] td[data-s="{start}"] a'


def confirm(page: Page) -> None:
    page.click("#review .confirm .primary")
    page.wait_for_url(re.compile("/bookings/"))


def by_two_clicks(visitor: Visitor) -> None:
    page = visitor.go(WEEK)
    page.click(cell(page, "small", "2030-01-15T00:00"))
    expect(page.locator("#review")).to_contain_text("It fits")
    page.click(cell(page, "small", "2030-01-17T00:00"))
    expect(page.locator("#review")).to_contain_text("Tue 15 Jan 00:00 – Thu 17 Jan 24:00")
    confirm(page)


def by_dragging(visitor: Visitor) -> None:
    page = visitor.go(WEEK)
    first = page.locator(cell(page, "small", "2030-01-15T00:00")).bounding_box()
    last = page.locator(cell(page, "small", "2030-01-17T00:00")).bounding_box()
    assert first is not None
    assert last is not None
    page.mouse.move(first["x"] + 20, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(last["x"] + 20, last["y"] + 10, steps=6)
    page.mouse.up()
    expect(page.locator("#review")).to_contain_text("Thu 17 Jan 24:00")
    confirm(page)


def by_shift_click(visitor: Visitor) -> None:
    page = visitor.go(WEEK)
    page.click(cell(page, "small", "2030-01-17T00:00"))
    expect(page.locator("#review")).to_contain_text("It fits")
    page.click(cell(page, "small", "2030-01-15T00:00"), modifiers=["Shift"])
    expect(page.locator("#review")).to_contain_text("Tue 15 Jan 00:00")
    confirm(page)


def by_keyboard(visitor: Visitor) -> None:
    page = visitor.go(WEEK)
    page.locator(cell(page, "small", "2030-01-15T00:00")).focus()
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#review .confirm .primary")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/bookings/"))


def by_form(visitor: Visitor) -> None:
    page = visitor.go(WEEK)
    page.select_option("#package", "small")
    page.fill("#from_date", "2030-01-15")
    page.select_option("#from_hour", "00:00")
    page.fill("#until_date", "2030-01-17")
    page.select_option("#until_hour", "24:00")
    page.click("#book button.primary")
    expect(page.locator("#review")).to_contain_text("It fits")
    confirm(page)


@pytest.mark.parametrize("choose", [by_two_clicks, by_dragging, by_shift_click, by_keyboard, by_form])
def test_every_way_of_choosing_makes_the_same_booking(
    site: PageSite, visit: Open, choose: Callable[[Visitor], None]
) -> None:
    choose(visit("ada"))
    assert [(r.start, r.end, r.booking.package_name) for r in site.rows("ada")] == [
        (at(0, 7), at(24, 9), "small")
    ]


def test_two_taps_choose_on_a_phone(site: PageSite, visit: Open) -> None:
    visitor = visit("ada", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visitor.go(WEEK)
    page.tap(cell(page, "small", "2030-01-15T00:00"))
    expect(page.locator("#review")).to_contain_text("It fits")
    page.tap(cell(page, "small", "2030-01-17T00:00"))
    expect(page.locator("#review")).to_contain_text("Thu 17 Jan 24:00")
    page.tap("#review .confirm .primary")
    page.wait_for_url(re.compile("/bookings/"))
    assert [(r.start, r.end) for r in site.rows("ada")] == [(at(0, 7), at(24, 9))]


@pytest.mark.parametrize("choose", [by_form, by_two_clicks])
def test_the_same_without_a_script(site: PageSite, visit: Open, choose: Callable[[Visitor], None]) -> None:
    visitor = visit("ada", java_script_enabled=False)
    if choose is by_form:
        by_form(visitor)
    else:
        page = visitor.go(WEEK)
        page.click(cell(page, "small", "2030-01-15T00:00"))
        page.click(cell(page, "small", "2030-01-17T00:00"))
        page.click("#book button.primary")
        confirm(page)
    assert [(r.start, r.end) for r in site.rows("ada")] == [(at(0, 7), at(24, 9))]


def test_the_grid_is_one_tab_stop_and_arrows_move_in_it(visit: Open) -> None:
    page = visit("ada").go(WEEK)
    stops = "table.grid tbody :is(a, td)[tabindex='0']"
    expect(page.locator(stops)).to_have_count(1)
    page.locator(stops).focus()
    moves = (
        ("ArrowRight", "large", "2030-01-15T00:00"),
        ("ArrowDown", "medium", "2030-01-15T00:00"),
        ("End", "medium", "2030-01-20T00:00"),
        ("Home", "medium", "2030-01-14T00:00"),
        ("Control+End", "tiny", "2030-01-20T00:00"),
        ("Control+Home", "large", "2030-01-14T00:00"),
        ("ArrowLeft", "large", "2030-01-14T00:00"),
    )
    for key, package, start in moves:
        page.keyboard.press(key)
        expect(page.locator(cell(page, package, start))).to_be_focused()
        expect(page.locator(stops)).to_have_count(1)


def test_page_down_goes_to_the_next_week_and_keeps_the_place(visit: Open) -> None:
    page = visit("ada").go(WEEK)
    page.locator(cell(page, "small", "2030-01-16T00:00")).focus()
    page.keyboard.press("PageDown")
    expect(page.locator("#calendar-title")).to_have_text("21 – 27 January 2030")
    expect(page.locator(cell(page, "small", "2030-01-23T00:00"))).to_be_focused()
    page.keyboard.press("PageUp")
    expect(page.locator(cell(page, "small", "2030-01-16T00:00"))).to_be_focused()


def test_escape_clears_what_was_chosen(visit: Open) -> None:
    page = visit("ada").go(WEEK)
    page.click(cell(page, "small", "2030-01-15T00:00"))
    expect(page.locator("#review .confirm")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("td[aria-selected]")).to_have_count(0)
    expect(page.locator("#review .confirm")).to_have_count(0)


def test_another_row_begins_anew(visit: Open) -> None:
    page = visit("ada").go(WEEK)
    page.click(cell(page, "small", "2030-01-15T00:00"))
    page.click(cell(page, "tiny", "2030-01-17T00:00"))
    expect(page.locator("td[aria-selected]")).to_have_count(1)
    expect(page.locator("#package")).to_have_value("tiny")
    expect(page.locator("#from_date")).to_have_value("2030-01-17")


def test_an_hour_within_a_run_is_chosen_where_it_is_clicked(site: PageSite, visit: Open) -> None:
    page = visit("ada").go("/calendar?view=hours&start=2030-01-14")
    run = page.locator('tr[data-package="small"] td[data-s="2030-01-15T00:00"]')
    box = run.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 9.5 / 24, box["y"] + 20)
    # The hour is the one that was proposed; the day is another.
    expect(page.locator("#from_date")).to_have_value("2030-01-15")
    expect(page.locator("#from_hour")).to_have_value("09:00")
    page.mouse.click(box["x"] + box["width"] * 11.5 / 24, box["y"] + 20)
    expect(page.locator("#until_hour")).to_have_value("12:00")
    expect(page.locator(".chosen-span")).to_be_visible()
    expect(page.locator("#review")).to_contain_text("Tue 15 Jan, 09:00–12:00")
    confirm(page)
    assert [(r.start, r.end) for r in site.rows("ada")] == [(at(9, 7), at(12, 7))]


def test_the_hour_that_comes_twice_is_chosen_exactly(site: PageSite, visit: Open) -> None:
    page = visit("grace").go("/calendar?view=day&start=2030-10-27")
    page.click(cell(page, "small", "2030-10-27T01:00/2"))
    expect(page.locator("#from_hour")).to_have_value("01:00/2")
    expect(page.locator("#review")).to_contain_text("It fits")
    confirm(page)
    (row,) = site.rows("grace")
    assert row.start.isoformat() == "2030-10-27T01:00:00+00:00"


def test_a_date_offers_the_hours_that_it_has(visit: Open) -> None:
    page = visit("ada").go(WEEK)
    page.fill("#from_date", "2030-03-31")
    page.locator("#from_date").blur()
    expect(page.locator("#from_hour option")).to_have_count(23)
    page.fill("#from_date", "2030-10-27")
    page.locator("#from_date").blur()
    expect(page.locator("#from_hour option")).to_have_count(25)


def test_an_hour_chosen_while_the_hours_of_another_date_are_on_their_way_stays_chosen(visit: Open) -> None:
    page = visit("ada").go(WEEK)
    waiting: list[Route] = []

    def delay(route: Route) -> None:
        waiting.append(route)

    page.route("**/calendar/hours?*", delay)
    page.fill("#from_date", "2030-10-27")
    page.locator("#from_date").blur()
    page.select_option("#from_hour", "05:00")
    expect(page.locator("#from_hour option")).to_have_count(24)
    for _ in range(500):
        if waiting:
            break
        page.wait_for_timeout(20)
    waiting[0].continue_()
    expect(page.locator("#from_hour option")).to_have_count(25)
    expect(page.locator("#from_hour")).to_have_value("05:00")


def test_only_what_the_choice_needs_is_shown(visit: Open) -> None:
    page = visit("grace").go(WEEK)
    expect(page.locator("#book .series")).to_be_hidden()
    expect(page.locator("#book .custom-only")).to_be_hidden()
    page.select_option("#repeat", "weekdays")
    expect(page.locator("#book .series")).to_be_visible()
    expect(page.locator("#book .weekdays")).to_be_visible()
    expect(page.locator("#until_date")).to_be_hidden()
    page.select_option("#package", "custom")
    expect(page.locator("#book .custom-only")).to_be_visible()


def test_of_two_who_confirm_the_last_one_gets_alternatives_that_book(site: PageSite, visit: Open) -> None:
    first, second = visit("ada"), visit("grace")
    for visitor in (first, second):
        page = visitor.go(WEEK)
        page.click(cell(page, "large", "2030-01-15T00:00"))
        expect(page.locator("#review .confirm")).to_be_visible()
    confirm(first.page)
    second.page.click("#review .confirm .primary")
    expect(second.page.locator("#review h2").first).to_have_text("Just taken")
    expect(second.page.locator('tr[data-package="large"] td').nth(1)).to_contain_text("not available")
    second.page.click("#review .alternatives button >> nth=0")
    second.page.wait_for_url(re.compile("/bookings/"))
    assert len(site.rows("grace")) == 1


def test_a_double_click_on_confirm_books_once(site: PageSite, visit: Open) -> None:
    page = visit("ada").go(WEEK)
    page.click(cell(page, "small", "2030-01-15T00:00"))
    page.dblclick("#review .confirm .primary")
    page.wait_for_url(re.compile("/bookings/"))
    assert len(site.rows("ada")) == 1


def test_on_a_phone_the_form_is_a_sheet_that_says_what_is_chosen(site: PageSite, visit: Open) -> None:
    visitor = visit("ada", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visitor.go(WEEK)
    sheet, toggle = page.locator("#panel"), page.locator(".sheet-toggle")
    expect(page.locator("#from_date")).to_be_hidden()
    box = sheet.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] == 844
    page.tap(cell(page, "small", "2030-01-15T00:00"))
    expect(page.locator("#chosen")).to_contain_text("small: 2030-01-15")
    expect(page.locator("#review")).to_contain_text("It fits")
    toggle.tap()
    expect(page.locator("#from_date")).to_have_value("2030-01-15")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    page.tap("#book button.primary")
    expect(page.locator("#from_date")).to_be_hidden()
    expect(page.locator("#review .confirm .primary")).to_be_in_viewport()


def test_on_a_phone_without_a_script_the_form_is_whole(visit: Open) -> None:
    options = {"viewport": {"width": 390, "height": 844}, "java_script_enabled": False}
    page = visit("ada", **options).go(WEEK)
    expect(page.locator("#from_date")).to_be_visible()
    expect(page.locator(".sheet-toggle")).to_be_hidden()


def test_the_heads_of_the_columns_stay_in_sight(visit: Open) -> None:
    page = visit("ada", viewport={"width": 1366, "height": 420}).go("/calendar?view=10w&start=2030-01-14")
    page.mouse.wheel(0, 400)
    expect(page.locator("table.grid thead th").nth(1)).to_be_in_viewport()
    expect(page.locator("table.grid tbody tr").nth(1)).not_to_be_in_viewport()


def test_a_custom_size_is_answered_while_it_is_typed(visit: Open) -> None:
    page = visit("grace").go(WEEK)
    page.select_option("#package", "custom")
    page.fill("#notebook_cores", "2")
    expect(page.locator("#sized")).to_contain_text("fit")
    page.fill("#notebook_cores", "9000")
    expect(page.locator("#sized")).to_have_text("This size never fits for so long.")
    page.fill("#notebook_cores", "")
    expect(page.locator("#sized")).to_contain_text("Notebook cores is a whole number")
