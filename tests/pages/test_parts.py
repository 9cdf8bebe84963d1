"""Long lists are shown in parts, each of which leads to the others without a script."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from booking.allocator.cells import Granularity
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.models import Blackout
from booking.pages import parts
from booking.pages.admin import cards
from booking.services import capacity, levels, templates, tokens
from booking.services.templates import Card
from tests.support.pages import POOL, SERVICE, PageSite, at

ASKS = {"HX-Request": "true"}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows are a page, of which one may lie before what matters."""
    monkeypatch.setattr(parts, "A_PAGE", 3)
    monkeypatch.setattr(parts, "_BEFORE", 1)


@pytest.mark.parametrize(
    "asked, shown, before, after",
    [
        ("", [1, 2, 3], "0", "4"),
        ("0", [0, 1, 2], None, "3"),
        ("3", [3, 4, 5], "0", "6"),
        ("6", [4, 5, 6], "1", None),
        ("999999", [4, 5, 6], "1", None),
        ("-1", [1, 2, 3], "0", "4"),
        ("two", [1, 2, 3], "0", "4"),
        ("٣", [1, 2, 3], "0", "4"),
        ("9" * 5000, [1, 2, 3], "0", "4"),
    ],
)
def test_the_address_says_which_part_and_else_what_matters_does(
    site: PageSite, short: None, asked: str, shown: list[int], before: str | None, after: str | None
) -> None:
    with site.app.test_request_context(query_string={"rows": asked, "of": "x&y"}):
        part = parts.part_of(range(7), "rows", "/list", {"of": "x&y"}, at=2)
    assert list(part.rows) == shown
    assert (part.first, part.count) == (shown[0], 7)
    leads = [f"/list?of=x%26y&rows={number}#rows-title" if number else None for number in (before, after)]
    assert [part.before, part.after] == leads


def test_a_list_that_fits_is_whole_and_leads_nowhere(site: PageSite, short: None) -> None:
    with site.app.test_request_context():
        for count in range(4):
            part = parts.part_of(range(count), "rows", "/list", at=count)
            assert (list(part.rows), part.before, part.after) == (list(range(count)), None, None)


def test_the_board_shows_what_starts_about_now_and_leads_to_the_rest(site: PageSite, short: None) -> None:
    for hour in range(10, 17):
        site.book("grace", "tiny", at(hour, -1), at(hour + 1, -1), title=f"at {hour}")
    for hour in (10, 11, 12):
        site.pass_until(at(hour, -1) + timedelta(minutes=30))
    root = site.reader("root").get("/admin/today")
    assert "Starts 7" in root.text
    assert "3 to 5 of 7" in root.text
    assert _titles(root.html, "starts") == ["at 12", "at 13", "at 14"]
    assert _titles(root.html, "ends") == ["at 11", "at 12", "at 13"]
    later = root.follow("Later Starts")
    assert _titles(later.html, "starts") == ["at 14", "at 15", "at 16"]
    assert _titles(later.html, "ends") == ["at 11", "at 12", "at 13"]
    earlier = later.follow("Earlier Starts").follow("Earlier Starts")
    assert _titles(earlier.html, "starts") == ["at 10", "at 11", "at 12"]
    both = earlier.follow("Later Ends")
    assert _titles(both.html, "starts") == ["at 10", "at 11", "at 12"]
    assert _titles(both.html, "ends") == ["at 14", "at 15", "at 16"]


def test_a_board_that_looks_again_shows_the_same_part(site: PageSite, short: None) -> None:
    for hour in range(10, 17):
        site.book("grace", "tiny", at(hour, -1), at(hour + 1, -1), title=f"at {hour}")
    root = site.reader("root").get("/admin/today?starts=4")
    found = re.search(r'hx-get="([^"]+)"', root.html)
    assert found
    site.book("ada", "tiny", at(20, -1), at(21, -1), title="Course")
    again = root.client.get(html.unescape(found[1]), headers=ASKS).get_data(as_text=True)
    assert _titles(again, "starts") == ["at 14", "at 15", "at 16"]


def test_another_day_begins_with_its_first(site: PageSite, short: None) -> None:
    for hour in range(10, 15):
        site.book("grace", "tiny", at(hour), at(hour + 1), title=f"at {hour}")
    tomorrow = site.reader("root").get("/admin/today?starts=2").follow("›")
    assert _titles(tomorrow.html, "starts") == ["at 10", "at 11", "at 12"]


def _titles(page: str, section: str) -> list[str]:
    after = page.split(f'id="{section}-title"')[1].split("</section>", maxsplit=1)[0]
    return re.findall(r'<a href="/bookings/[^"]+">([^<]+)</a>', after)


def _withdraw(site: PageSite, days: range) -> None:
    for day in days:
        gone = capacity.Holding(Span(at(0, day), at(1, day)), Resources(1, 1024), f"work {day}")
        capacity.edit(site.ctx, SERVICE, capacity.Edit(POOL, Blackout, None, gone))


def test_what_a_pool_has_is_shown_in_parts(site: PageSite, short: None) -> None:
    _withdraw(site, range(1, 5))
    root = site.reader("root").get("/admin/capacity?span=3m")
    assert "1 to 3 of 5" in root.text
    assert re.findall(r"work \d", root.text.split("Add")[0])[-1] == "work 2"
    root.follow("More Inventory and blackouts")
    assert "span=3m" in root.path
    assert "3 to 5 of 5" in root.text
    assert root.follow("Back Inventory and blackouts").text.count("bought") == 2


def test_a_faulty_form_comes_back_in_the_part_where_its_row_is(site: PageSite, short: None) -> None:
    _withdraw(site, range(1, 7))
    root = site.reader("root").get("/admin/capacity?holdings=4")
    form = next(form for form in root.parsed.forms if ("reason", "work 6") in form.fields)
    data = dict(form.fields) | {"until_date": "2030-01-01"}
    root._came(root.client.post("/admin/capacity", data=data), "/admin/capacity")
    assert root.status == 422
    (opened,) = re.findall(r'<details class="popover" open>.*?</details>', root.html, re.DOTALL)
    assert 'value="work 6"' in opened
    assert 'class="fault"' in opened


def test_what_is_over_is_shown_in_parts_the_latest_first(site: PageSite, short: None) -> None:
    _withdraw(site, range(1, 6))
    site.pass_time(timedelta(days=10))
    root = site.reader("root").get("/admin/capacity")
    assert "5 entries of the past" in root.text
    assert re.findall(r"work \d", root.text) == ["work 5", "work 4", "work 3"]
    root.follow("Older Entries of the past")
    assert re.findall(r"work \d", root.text) == ["work 3", "work 2", "work 1"]
    assert 'id="over-title" open' in root.html


def test_of_many_pools_one_is_chosen_from_a_list(site: PageSite) -> None:
    for number in range(8):
        site.clock.advance(timedelta(seconds=1))
        capacity.make_pool(site.ctx, SERVICE, capacity.NewPool(f"p{number}", "Asia/Tokyo", Granularity.HOUR))
    root = site.reader("root").get("/admin/capacity?span=1y")
    form = next(
        form for form in root.parsed.forms if (form.action, form.method) == ("/admin/capacity", "get")
    )
    assert dict(form.fields)["span"] == "1y"
    assert "Capacity of p7" in root.get("/admin/capacity?pool=p7").text
    assert "Capacity of main" in root.get("/admin/capacity?pool=nowhere").text


def test_levels_are_shown_in_parts_and_one_that_is_saved_among_them(site: PageSite, short: None) -> None:
    for level in range(2, 7):
        levels.change(site.ctx, SERVICE, level, {})
    root = site.reader("root").get("/admin/accounts")
    assert "1 to 3 of 7" in root.text
    root.follow("Higher Levels").follow("Higher Levels")
    assert "Save level 3" not in root.text
    root.submit("/admin/levels/6", "Save level 6", max_concurrent="2")
    assert levels.known(site.ctx)[6].max_concurrent == 2
    assert "Level 6 is saved." in root.text
    root.form("/admin/levels/6", "Save level 6")
    wrong = root.submit("/admin/levels/6", "Save level 6", max_length="six hours")
    assert wrong.status == 422
    assert 'class="fault" id="l6max_length-fault"' in wrong.html
    assert "Lower Levels" in wrong.text


def test_tokens_are_shown_in_parts(site: PageSite, short: None) -> None:
    ada = site.actor("ada")
    for number in range(5):
        site.clock.advance(timedelta(seconds=1))
        tokens.make(site.ctx, ada, ada.id, ["bookings:read"], f"token {number}", timedelta(days=1))
    page = site.reader("ada").get("/account")
    assert re.findall(r"(token \d) bookings", page.text) == ["token 4", "token 3", "token 2"]
    assert re.findall(r"(token \d) bookings", page.follow("Older Tokens for programs").text)[-1] == "token 0"


def test_of_many_pools_a_card_names_one(site: PageSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "_MANY", 1)
    site.clock.advance(timedelta(seconds=1))
    second = capacity.make_pool(site.ctx, SERVICE, capacity.NewPool("second", "Asia/Tokyo", Granularity.HOUR))
    card = templates.make(site.ctx, SERVICE, Card("Curves", "small", timedelta(hours=2)))
    root = site.reader("root").get("/admin/templates")
    assert root.html.count('<option value="second">') == 1
    assert root.html.count('list="pools"') == 2
    path = f"/admin/templates/{card.id}"
    root.submit(path, "Save", pool="second")
    assert templates.offered(site.ctx, SERVICE, card.id).template.pool_id == second.id
    assert dict(root.form(path, "Save").fields)["pool"] == "second"
    wrong = root.submit(path, "Save", pool="nowhere")
    assert wrong.status == 422
    assert dict(wrong.form(path, "Save").fields)["pool"] == "nowhere"
    assert f'id="pool-{card.id}-fault"' in wrong.html
    root.get("/admin/templates").submit(path, "Save", pool="")
    assert templates.offered(site.ctx, SERVICE, card.id).template.pool_id is None
