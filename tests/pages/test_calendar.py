"""The calendar without a script: what it shows, and what its links do."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from booking import create_app
from booking.allocator.cells import Granularity
from booking.allocator.resources import Resources
from booking.allocator.span import FOREVER, Span
from booking.doors import Doors
from booking.models import Blackout, Inventory, Pool
from booking.resources import static_path
from booking.services import availability, capacity, levels
from tests.support.pages import POOL, SERVICE, PageSite, at, make_page_site
from tests.support.reader import Reader

WEEK = "/calendar?start=2030-01-14"


def rows_of(reader: Reader) -> list[str]:
    return re.findall(r'data-package="(\w+)"', reader.html)


def test_rows_are_packages_the_largest_on_top_and_columns_begin_on_monday(site: PageSite) -> None:
    visitor = site.reader().get("/calendar?start=2030-01-17")
    assert rows_of(visitor) == ["large", "medium", "small", "tiny", "custom"]
    assert re.findall(r'class="dow">(\w+)<', visitor.html) == [
        "Mon",
        "Tue",
        "Wed",
        "Thu",
        "Fri",
        "Sat",
        "Sun",
    ]
    assert "14 – 20 January 2030" in visitor.text
    assert "Europe/London, UTC+00:00" in visitor.text


def test_a_cell_says_how_many_are_left_and_never_by_colour_alone(site: PageSite) -> None:
    site.book("grace", "medium", at(0, 7), at(24, 7))
    visitor = site.reader().get(WEEK)
    assert visitor.cells("small")[:3] == ["available, 4 left", "available, 2 left", "available, 4 left"]
    assert visitor.cells("large")[:2] == ["available, 1 left", "not available"]
    assert 'class="c none"' in visitor.html
    assert ">–</i>" in visitor.html


def test_a_closed_pool_says_so_where_people_choose(site: PageSite) -> None:
    site.ctx.db.run("close", lambda s: s.execute(update(Pool).values(closed_reason="cores oversold by 4")))
    visitor = site.reader().get(WEEK)
    assert "is closed while a fault is looked into" in visitor.text
    assert "oversold" not in visitor.text
    assert "cores oversold by 4" in site.reader("root").get("/admin/capacity").text


def test_part_of_a_day_tells_the_longest_hours_in_a_row(site: PageSite) -> None:
    site.book("grace", "large", at(9, 7), at(12, 7))
    site.book("grace", "large", at(20, 7), at(22, 7))
    assert site.reader().get(WEEK).cells("large")[1] == "part of the day: up to 9 hours in a row"


def test_what_is_mine_is_a_solid_cell_with_a_dot_that_leads_to_the_booking(site: PageSite) -> None:
    made = site.book("ada", "small", at(9, 7), at(12, 7))
    ada = site.reader("ada").get(WEEK)
    assert ada.cells("small")[1] == "yours, Tue 15 Jan, 09:00–12:00"
    assert f'<a href="/bookings/{made.id}"><i aria-hidden="true">● 3h</i>' in ada.html
    assert site.reader("grace").get(WEEK).cells("small")[1] == "available, 3 left"


def test_the_past_is_past_and_today_counts_from_the_present_hour_on(site: PageSite) -> None:
    site.book("grace", "large", at(9, -1), at(10, -1))
    site.pass_until(at(10, -1) + timedelta(minutes=20))
    visitor = site.reader().get("/calendar")
    assert visitor.cells("large")[0] == "available, 1 left"
    assert 'data-s="2030-01-07T10:00" data-e="2030-01-07T24:00"' in visitor.html
    assert site.reader().get("/calendar?start=2030-01-02").cells("large") == ["past"] * 7


def test_two_clicks_on_links_fill_the_exact_form(site: PageSite) -> None:
    ada = site.reader("ada").get(WEEK)
    first = re.search(r'data-s="2030-01-15T00:00"[^>]*><a href="([^"]+)"', ada.html)
    assert first is not None
    ada.get(first[1].replace("&amp;", "&").partition("#")[0])
    assert ada.html.count('aria-selected="true"') == 1
    row = re.search(r'data-package="large">(.*?)</tr>', ada.html, re.DOTALL)
    assert row is not None
    last = re.search(r'data-s="2030-01-17T00:00"[^>]*><a href="([^"]+)"', row[1])
    assert last is not None
    ada.get(last[1].replace("&amp;", "&").partition("#")[0])
    assert ada.html.count('aria-selected="true"') == 3
    fields = dict(ada.form("/calendar/review").fields)
    assert [fields[name] for name in ("package", "from_date", "from_hour", "until_date", "until_hour")] == [
        "large",
        "2030-01-15",
        "00:00",
        "2030-01-17",
        "24:00",
    ]


def test_links_lead_to_today_tomorrow_next_week_and_next_month(site: PageSite) -> None:
    visitor = site.reader().get("/calendar")
    for link, title in (
        ("Today", "Monday 7 January 2030"),
        ("Tomorrow", "Tuesday 8 January 2030"),
        ("Next week", "14 – 20 January 2030"),
        ("Next month", "February 2030"),
        ("Later", "March 2030"),
        ("Earlier", "February 2030"),
        ("10 weeks", "28 Jan – 7 Apr 2030"),
    ):
        assert title in visitor.follow(link).text


def test_ten_weeks_show_one_package_by_weeks(site: PageSite) -> None:
    site.book("grace", "large", at(0, 20), at(24, 20))
    visitor = site.reader().get("/calendar?view=10w&package=large")
    assert rows_of(visitor) == ["large"] * 10
    assert len(re.findall(r'role="gridcell"', visitor.html)) == 70
    assert visitor.html.count('class="c none"') == 1


def test_a_month_shows_the_chosen_packages_only(site: PageSite) -> None:
    visitor = site.reader().get("/calendar?view=month&start=2030-02-10&package=tiny&package=large")
    assert rows_of(visitor) == ["large", "tiny"]
    assert len(visitor.cells("tiny")) == 28


def test_a_custom_size_is_typed_in_and_counted(site: PageSite) -> None:
    numbers = "notebook_cores=1&notebook_memory_mib=1024&worker_cores=2&worker_memory_mib=2048"
    visitor = site.reader().get(f"{WEEK}&package=custom&{numbers}")
    assert visitor.cells("custom") == ["available, 2 left"] * 7
    wrong = site.reader().get(f"{WEEK}&package=custom&{numbers.replace('=2048', '=much')}")
    assert wrong.status == 400
    assert "worker_memory_mib" in wrong.text


def test_equal_hours_that_touch_are_one_cell_but_never_across_midnight(site: PageSite) -> None:
    site.book("grace", "large", at(9, 7), at(12, 7))
    visitor = site.reader().get("/calendar?view=hours&start=2030-01-14")
    said = visitor.cells("large")
    assert said[:4] == [
        "available, 1 left, 00:00 to 24:00",
        "available, 1 left, 00:00 to 09:00",
        "not available, 09:00 to 12:00",
        "available, 1 left, 12:00 to 24:00",
    ]
    assert len(said) == 9


@pytest.mark.parametrize(
    "day, hours, labels, choices",
    [
        ("2030-03-31", 23, ["00", "02", "03"], {"00:00", "02:00"}),
        ("2030-10-27", 25, ["00", "01 BST", "01 GMT", "02"], {"00:00", "01:00", "01:00/2", "02:00"}),
    ],
)
def test_a_day_of_a_clock_change_has_the_hours_it_has(
    site: PageSite, day: str, hours: int, labels: list[str], choices: set[str]
) -> None:
    visitor = site.reader().get(f"/calendar?view=day&start={day}")
    assert len(visitor.cells("tiny")) == hours
    marks = re.search(r'class="marks".*?</tr>', visitor.html, re.DOTALL)
    assert marks is not None
    shown = re.findall(r"<td[^>]*>([^<]+)</td>", marks[0])
    assert (len(shown), shown[: len(labels)]) == (hours, labels)
    offered = site.reader().get(f"/calendar/hours?which=from&from_date={day}").html
    values = re.findall(r'value="([^"]+)"', offered)
    assert len(values) == hours
    assert choices <= set(values)
    assert ("01:00" in values) is (hours == 25)


def test_offsets_say_that_the_clocks_change_in_a_week(site: PageSite) -> None:
    assert "UTC+00:00 then UTC+01:00" in site.reader().get("/calendar?start=2030-03-27").text


def test_the_cells_agree_with_what_the_api_answers(site: PageSite) -> None:
    for day, package in enumerate(("large", "medium", "small", "medium")):
        site.book("grace", package, at(9 + day, 7 + day), at(2, 8 + day))
    question = availability.Question(at(0, 6), at(24, 12), granularity=Granularity.DAY)
    counts = {row.package.name: row.count for row in availability.availability(site.ctx, question).rows}
    visitor = site.reader().get(WEEK)
    for name, expected in counts.items():
        said = visitor.cells(name)
        assert [f"available, {n} left" if n else None for n in expected] == [
            text if text.startswith("available") else None for text in said
        ]


def test_htmx_gets_the_calendar_alone_and_nothing_while_nothing_changed(site: PageSite) -> None:
    part = site.reader("ada").get(WEEK, headers={"HX-Request": "true"})
    assert "<!doctype" not in part.html
    assert '<section id="calendar"' in part.html
    assert "HX-Request" in part.response.headers["Vary"]
    refresh = re.search(r'hx-get="([^"]+&amp;seen=[^"]+)"', part.html)
    assert refresh is not None
    again = refresh[1].replace("&amp;", "&")
    assert part.get(again, headers={"HX-Request": "true"}).status == 204
    site.book("grace", "large", at(9, 7), at(12, 7))
    assert part.get(again, headers={"HX-Request": "true"}).status == 200
    assert "<!doctype" in site.reader("ada").get(again).html


def test_maintenance_is_not_available(site: PageSite) -> None:
    gone = capacity.Holding(Span(at(0, 7), at(24, 7)), Resources(8, 32768), "new power supply")
    capacity.edit(site.ctx, SERVICE, capacity.Edit(POOL, Blackout, None, gone))
    assert site.reader().get(WEEK).cells("tiny")[1] == "not available"


def test_a_pool_of_days_is_booked_by_the_day(site: PageSite) -> None:
    capacity.make_pool(site.ctx, SERVICE, capacity.NewPool("days", "Asia/Kolkata", Granularity.DAY))
    ada = site.reader("ada").get("/calendar?pool=days")
    assert "Asia/Kolkata, UTC+05:30" in ada.text
    fields = dict(ada.form("/calendar/review").fields)
    assert (fields["from_hour"], fields["until_hour"]) == ("00:00", "24:00")
    assert 'select id="from_hour"' not in ada.html


@pytest.mark.parametrize("wrong", ["view=year", "start=tomorrow", "start=1066-10-14", "sharing=never"])
def test_an_address_that_makes_no_sense_is_explained(site: PageSite, wrong: str) -> None:
    reader = site.reader().get(f"/calendar?{wrong}")
    assert reader.status == 400
    assert wrong.partition("=")[0] in reader.text


def test_without_a_pool_the_calendar_says_so_and_an_administrator_gets_a_link(app: Flask) -> None:
    nobody = Reader(app).get("/calendar")
    assert "Nothing can be booked yet" in nobody.text
    assert "Set up capacity" not in nobody.text
    assert nobody.get("/").status == 200


def test_an_installation_may_keep_what_is_free_to_those_it_knows(doors: Doors, app: Flask) -> None:
    open_site = make_page_site(app)
    settings = replace(open_site.ctx.settings, public_availability=False)
    closed = Reader(create_app(settings, doors))
    assert closed.get("/calendar").path.startswith("/login")
    assert closed.get("/calendar.txt").path.startswith("/login")
    assert "cores," not in closed.get("/").text
    assert closed.sign_in("ada").get("/calendar").cells("tiny")


@pytest.mark.parametrize(
    "view, kilobytes", [("week", 40), ("month", 110), ("10w", 60), ("hours", 60), ("day", 80)]
)
def test_a_calendar_is_never_heavy(site: PageSite, view: str, kilobytes: int) -> None:
    page = site.reader("grace").get(f"/calendar?view={view}&start=2030-03-05").html.encode()
    assert len(page) < kilobytes * 1000
    assert len(gzip.compress(page, 6)) < 10 * 1024


@pytest.mark.parametrize("sheet", ["calendar.css", "pages.css"])
def test_what_a_page_looks_like_is_at_most_eight_kilobytes(sheet: str) -> None:
    files = [(static_path() / name).read_bytes() for name in ("app.css", sheet)]
    assert sum(len(gzip.compress(text, 9)) for text in files) <= 8 * 1024


def test_the_scripts_of_the_calendar_are_at_most_twenty_five_kilobytes() -> None:
    paths = [static_path() / "booking-grid.js", static_path() / "app.js"]
    paths += static_path().glob("vendor/htmx-*/htmx.min.js")
    assert len(paths) == 3
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths) <= 25 * 1024


def test_a_custom_size_is_answered_while_it_is_typed(site: PageSite) -> None:
    site.book("grace", "medium", at(9), at(12))
    hours = "package=custom&from_date=2030-01-08&from_hour=09:00&until_hour=10:00&until_date=2030-01-08"

    def answer(cores: str) -> str:
        sizes = f"notebook_cores={cores}&notebook_memory_mib=512&worker_cores=0&worker_memory_mib=0"
        return " ".join(site.reader().get(f"/calendar/custom?{hours}&{sizes}").text.split())

    assert answer("2") == "2 fit in these hours."
    assert answer("4") == "1 fits in these hours."
    assert answer("5") == "Not free in these hours; first Mon 7 Jan, 09:00–10:00."
    assert answer("9") == "This size never fits for so long."
    assert answer("none") == "Notebook cores is a whole number from 1 to 1000000."


def test_hardware_leads_to_a_pool_that_has_it(site: PageSite) -> None:
    alone = site.reader().get(WEEK)
    assert "Platform and hardware" not in alone.text, "there is nothing to choose"
    site.clock.advance(timedelta(seconds=1))
    capacity.make_pool(
        site.ctx, SERVICE, capacity.NewPool("fast", "UTC", Granularity.HOUR, traits=["gpu", "ssd"])
    )
    whole = capacity.Holding(Span(at(0), FOREVER), Resources(8, 32768), "bought")
    capacity.edit(site.ctx, SERVICE, capacity.Edit("fast", Inventory, None, whole))
    visitor = site.reader().get(WEEK)
    assert "Platform and hardware: any" in visitor.text
    assert f'<option value="{POOL}" selected>' in visitor.html
    chosen = visitor.get(f"{WEEK}&trait=gpu&pool={POOL}")
    assert '<option value="fast" selected>' in chosen.html
    assert f'<option value="{POOL}"' not in chosen.html
    assert 'name="trait" value="gpu" checked' in chosen.html
    assert '<input type="hidden" name="pool" value="fast">' in chosen.html
    assert "trait=gpu" in chosen.html.partition('class="steps"')[2], "it stays while one looks around"
    nothing = visitor.get(f"{WEEK}&trait=gpu&trait=nope")
    assert "No pool has all of that." in nothing.text


@pytest.mark.parametrize(
    "address, proposed",
    [
        ("/calendar", ("2030-01-07", "10:00", "2030-01-07", "11:00")),
        ("/calendar?start=2030-01-07", ("2030-01-07", "10:00", "2030-01-07", "11:00")),
        ("/calendar?start=2030-01-14", ("2030-01-14", "09:00", "2030-01-14", "10:00")),
        ("/calendar?start=2030-10-27&view=day", ("2030-10-27", "09:00", "2030-10-27", "10:00")),
    ],
)
def test_what_is_proposed_lies_where_somebody_looks(
    site: PageSite, address: str, proposed: tuple[str, ...]
) -> None:
    html = site.reader("grace").get(address).html
    found = [
        re.search(rf'name="{name}"[^>]*value="([^"]+)"', html)
        or re.search(rf'name="{name}".*?<option value="([^"]+)" selected', html, re.DOTALL)
        for name in ("from_date", "from_hour", "until_date", "until_hour")
    ]
    assert tuple(match[1] if match else "" for match in found) == proposed


def test_who_may_not_book_so_far_ahead_is_offered_what_they_may(site: PageSite) -> None:
    levels.change(site.ctx, SERVICE, 1, {"max_ahead": "P3D"})
    html = site.reader("ada").get("/calendar?start=2030-01-14").html
    assert re.search(r'name="from_date"[^>]*value="2030-01-07"', html)
