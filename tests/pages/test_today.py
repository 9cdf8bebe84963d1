"""The board of a day, as administrators see it."""

from __future__ import annotations

import html
import re
from datetime import timedelta

from booking.allocator.cells import Granularity
from booking.services import capacity
from tests.support.pages import SERVICE, PageSite, at

ASKS = {"HX-Request": "true"}


def test_the_day_is_told_in_the_zone_of_the_pool_with_links_to_the_bookings(site: PageSite) -> None:
    made = site.book("ada", "small", at(9, -1), at(12, -1), title="Course")
    site.book("ada", "tiny", at(9), at(12), title="Tomorrow's")
    site.pass_time(timedelta(seconds=5))
    board = site.reader("root").get("/").follow("Administration")
    assert board.path == "/admin/today"
    assert "Today, Monday 7 January 2030" in board.text
    assert "Starts 1" in board.text
    assert "Runs 1" in board.text
    assert "Mon 7 Jan, 09:00–12:00" in board.text
    assert "Tomorrow's" not in board.text
    assert board.follow("Course").path == f"/bookings/{made.id}"


def test_the_days_before_and_after_are_a_step_away(site: PageSite) -> None:
    site.book("ada", "tiny", at(9), at(12), title="Course")
    board = site.reader("root").get("/admin/today").follow("›")
    assert board.path == "/admin/today?day=2030-01-08"
    assert "Course" in board.text
    assert board.follow("‹").path == "/admin/today"


def test_what_failed_says_why_and_where_to_look(site: PageSite) -> None:
    made = site.book("ada", "tiny", at(9, -1), at(10, -1))
    site.clock.advance(timedelta(hours=2))
    site.pass_time(timedelta(seconds=5))
    board = site.reader("root").get("/admin/today")
    assert "Failed 1" in board.text
    assert "The service was not running during the whole span" in board.text
    assert board.follow("What happened").path == f"/admin/journal?subject=booking:{made.id}"
    assert "failed" in board.text


def test_one_pool_is_shown_alone(site: PageSite) -> None:
    site.clock.advance(timedelta(seconds=1))
    new = capacity.NewPool("other", "Asia/Tokyo", Granularity.HOUR)
    capacity.make_pool(site.ctx, SERVICE, new)
    site.book("ada", "tiny", at(9, -1), at(12, -1), title="Course")
    root = site.reader("root")
    assert "Course" in root.get("/admin/today?pool=main").text
    other = root.get("/admin/today?pool=other")
    assert "Course" not in other.text
    assert "Asia/Tokyo" in other.text


def test_a_board_that_has_not_changed_is_not_sent_again(site: PageSite) -> None:
    root = site.reader("root").get("/admin/today")
    found = re.search(r'hx-get="([^"]+)"', root.html)
    assert found
    path = html.unescape(found[1])
    assert root.client.get(path, headers=ASKS).status_code == 204
    site.book("ada", "tiny", at(9, -1), at(12, -1), title="Course")
    changed = root.client.get(path, headers=ASKS)
    assert changed.status_code == 200
    assert "Course" in changed.get_data(as_text=True)
    assert "<html" not in changed.get_data(as_text=True)


def test_at_midnight_the_board_goes_on_to_the_next_day(site: PageSite) -> None:
    root = site.reader("root").get("/admin/today")
    found = re.search(r'hx-get="([^"]+)"', root.html)
    assert found
    site.clock.advance(timedelta(hours=16))
    assert "Tuesday 8 January" in root.client.get(html.unescape(found[1]), headers=ASKS).get_data(
        as_text=True
    )
