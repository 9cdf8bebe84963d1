"""The capacity ribbon: on the columns of the grid, whatever the clocks do, it says what is there and why not."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.cells import day_start
from booking.allocator.resources import Resources
from booking.allocator.span import Span, minute_of
from booking.allocator.timeline import Segment
from booking.models import Blackout
from booking.pages.calendar.cells import Mine
from booking.pages.calendar.ribbon import HEIGHT, WIDTH, Columns, ribbon
from booking.pages.words import Wall
from booking.services import capacity
from tests.support.pages import POOL, SERVICE, PageSite, at

LONDON = ZoneInfo("Europe/London")


def week_of(zone: ZoneInfo, monday: date) -> list[int]:
    return [minute_of(day_start(zone, monday + timedelta(days=n))) for n in range(8)]


def segment(start: int, end: int, physical: int, reserved: int) -> Segment:
    return Segment(start, end, (physical, 0, 0, 0), (reserved, 0, 0, 0), (physical - reserved, 0, 0, 0))


@pytest.mark.parametrize("monday", [date(2030, 3, 25), date(2030, 10, 21)])
def test_the_day_of_a_clock_change_is_as_wide_as_its_neighbours(monday: date) -> None:
    columns = Columns(week_of(LONDON, monday))
    assert [columns.at(edge) for edge in columns.edges] == [n * WIDTH / 7 for n in range(8)]
    sunday = datetime(monday.year, monday.month, monday.day, 12, tzinfo=LONDON) + timedelta(days=6)
    middle = columns.at(minute_of(sunday))
    assert middle != 6.5 * WIDTH / 7
    assert abs(middle - 6.5 * WIDTH / 7) < WIDTH / 7 / 24


@given(st.integers(-10_000, 10_000))
def test_what_lies_outside_stands_at_the_border(minute: int) -> None:
    columns = Columns([0, 60, 120])
    assert 0 <= columns.at(minute) <= WIDTH
    assert columns.at(min(max(minute, 0), 120)) == columns.at(minute)


def test_amounts_are_heights_and_mine_are_added_where_they_meet() -> None:
    columns = Columns([0, 100])
    mine = [
        Mine("a", "small", at_minute(0), at_minute(60), Resources(2)),
        Mine("b", "small", at_minute(30), at_minute(80), Resources(4)),
    ]
    found = ribbon(columns, [segment(0, 50, 8, 6), segment(50, 100, 4, 0)], mine, [], Wall(LONDON), 50)
    assert found is not None
    assert (found.kind, found.most, found.now) == ("cores", "8 cores", WIDTH // 2)
    half = WIDTH // 2
    assert found.physical == f"M0 0H0V0H{half}H{half}V{HEIGHT // 2}H{WIDTH}"
    assert found.reserved == f"M0 {HEIGHT}V{HEIGHT // 4}H{WIDTH // 2}V{HEIGHT}Z"
    assert re.findall(r"V(\d+)H", found.mine) == ["48", "16", "32"]
    assert found.label == "4 cores to 8 cores exist; at most 6 cores are reserved"


def at_minute(minute: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC")) + timedelta(minutes=minute)


def test_it_shows_the_kind_of_which_the_greatest_share_is_reserved() -> None:
    tight = Segment(0, 60, (8, 1024, 0, 0), (4, 1000, 0, 0), (4, 24, 0, 0))
    found = ribbon(Columns([0, 60]), [tight], [], [], Wall(LONDON), 0)
    assert found is not None
    assert (found.kind, found.most) == ("memory", "1 GiB")


def test_where_nothing_exists_there_is_none() -> None:
    assert ribbon(Columns([0, 60]), [segment(0, 60, 0, 0)], [], [], Wall(LONDON), 0) is None


def test_the_calendar_says_why_less_is_there_to_everybody(site: PageSite) -> None:
    gone = capacity.Holding(Span(at(0, 2), at(24, 3)), Resources(6, 1024), 'new <power> "supply"')
    capacity.edit(site.ctx, SERVICE, capacity.Edit(POOL, Blackout, None, gone))
    for reader in (site.reader(), site.reader("ada")):
        text = reader.get("/calendar").html
        assert 'role="img" aria-label="2 cores to 8 cores exist; at most 0 cores are reserved"' in text
        assert (
            "new &lt;power&gt; &#34;supply&#34;</strong> Thu 10 Jan 00:00 – Fri 11 Jan 24:00, 6 cores less"
            in text
        )
    assert 'class="capacity' not in site.reader().get("/calendar?view=10w").html


def test_what_is_mine_is_marked_for_me_alone(site: PageSite) -> None:
    site.book("ada", "small", at(9, 1), at(17, 1))
    assert 'class="own"' in site.reader("ada").get("/calendar").html
    assert 'class="own"' not in site.reader("grace").get("/calendar").html
