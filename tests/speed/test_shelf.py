"""What is kept is shown again only to those for whom it would be made the same."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from booking.allocator.package import Package, Sharing
from booking.allocator.package import Size as Cores
from booking.allocator.span import Span
from booking.api.availability import _as_json
from booking.api.schemas.availability import AvailabilityOut
from booking.api.schemas.fields import stamp
from booking.pages.calendar.cells import Cell
from booking.pages.calendar.markup import drawn
from booking.services import accounts, availability, bookings, levels, packages, tokens
from booking.services.context import Actor, actor_of
from booking.services.decision import BookingRequest
from booking.services.shelf import KEY_BYTES, LARGEST_PART, Shelf
from tests.speed.asking import Crowded, crowded
from tests.speed.crowd import ADMIN, PERSON, Size
from tests.support.doors import START, TestClock
from tests.support.site import ROOT

PAGE = "/calendar?start=2030-01-14&pool=pool-000"
LIST = "/api/v1/availability?from=2030-01-14&to=2030-01-21&pool=pool-000"


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> Iterator[Crowded]:
    with crowded(sqlite_url, tmp_path, Size(accounts=5, bookings=36, pools=3, own=3)) as made:
        yield made


def shown(site: Crowded, who: str | None, path: str = PAGE) -> str:
    """The calendar alone, without the head that names who looks."""
    text = site.ask(path, who).get_data(as_text=True)
    return text[text.index("<main") : text.index("</main>")]


def actor(site: Crowded, name: str) -> Actor:
    return site.ctx.db.read("actor", lambda session: actor_of(session, accounts.find(session, name)))


def book(site: Crowded, who: str, days: int, title: str) -> str:
    start = START.replace(hour=0) + timedelta(days=7 + days)
    wish = BookingRequest(
        "large", Sharing.RESERVED, (Span(start, start + timedelta(days=1)),), pool="pool-000", title=title
    )
    return bookings.book(site.ctx, actor(site, who), wish, lambda _: {}).booking.id


def test_what_is_mine_is_shown_to_nobody_else_whoever_looked_first(site: Crowded) -> None:
    of_ada = book(site, PERSON, 1, "the title of ada")
    of_root = book(site, ADMIN, 2, "the title of root")
    for people in ((PERSON, ADMIN, None), (None, ADMIN, PERSON)):
        seen = {who: shown(site, who) for who in people}
        assert of_ada in seen[PERSON]
        assert "the title of ada" in seen[PERSON]
        assert of_root in seen[ADMIN]
        for who, others in ((PERSON, [of_root]), (ADMIN, [of_ada]), (None, [of_ada, of_root])):
            assert not [one for one in others if one in seen[who]]
        assert "the title" not in seen[None]
        assert "group-0" not in seen[None]


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", PAGE),
        ("GET", "/calendar/review?package=large&from_date=2030-01-15&from_hour=10:00&until_hour=11:00"),
        ("POST", "/bookings"),
    ],
)
def test_a_token_that_may_not_read_bookings_sees_no_calendar_with_them(
    site: Crowded, method: str, path: str
) -> None:
    book(site, PERSON, 1, "the title of ada")
    made = tokens.make(site.ctx, None, PERSON, ["bookings:write"])
    header = {"Authorization": f"Bearer {made.secret}"}
    answer = site.app.test_client(use_cookies=False).open(path, method=method, headers=header)
    assert answer.status_code == 403
    assert "the title of ada" not in answer.get_data(as_text=True)


def test_the_same_is_drawn_once(site: Crowded, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shown(site, None)

    def fail(*_: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr("booking.pages.calendar.routes.scene_of", fail)
    assert shown(site, None) == first
    with pytest.raises(AssertionError, match="500 Internal Server Error"):
        shown(site, PERSON)


@pytest.mark.parametrize("path", [PAGE, LIST])
def test_whatever_changes_the_calendar_is_seen_at_once(site: Crowded, path: str) -> None:
    clock = site.ctx.clock
    assert isinstance(clock, TestClock)
    seen = [site.ask(path, None).data]

    def is_other(now: bytes) -> bool:
        seen.append(now)
        return now not in seen[:-1]

    book(site, ADMIN, 1, "one")
    assert is_other(site.ask(path, None).data)
    packages.publish(site.ctx, ROOT, Package("larger", 0, Cores(4, 4096), Cores(0, 0)))
    assert is_other(site.ask(path, None).data)
    packages.retire(site.ctx, ROOT, "larger")
    site.ask(path, None)
    hold = BookingRequest(
        "large",
        Sharing.RESERVED,
        (Span(START + timedelta(days=9), START + timedelta(days=9, hours=1)),),
        pool="pool-000",
        hold=timedelta(minutes=10),
    )
    bookings.book(site.ctx, actor(site, ADMIN), hold, lambda _: {})
    held = site.ask(path, None).data
    clock.advance(timedelta(minutes=10))
    assert site.ask(path, None).data != held


def test_a_page_that_is_kept_passes_with_the_hour(site: Crowded) -> None:
    clock = site.ctx.clock
    assert isinstance(clock, TestClock)
    before = shown(site, None, "/calendar?pool=pool-000&view=day")
    clock.advance(timedelta(hours=1))
    assert shown(site, None, "/calendar?pool=pool-000&view=day") != before


def test_limits_of_a_level_hold_at_once(site: Crowded) -> None:
    assert 'data-package="large"' in shown(site, PERSON)
    levels.change(site.ctx, ROOT, 2, {"packages": ["small"]})
    assert 'data-package="large"' not in shown(site, PERSON)
    assert 'data-package="large"' in shown(site, ADMIN)


def test_the_written_answer_is_the_one_that_its_schema_describes(site: Crowded) -> None:
    question = availability.Question(date(2030, 1, 14), date(2030, 1, 16), pool="pool-001", best=True)
    answer = availability.availability(site.ctx, question)
    told = {
        "pool": answer.pool.id,
        "generation": answer.pool.generation,
        "timezone": answer.timezone,
        "granularity": answer.granularity.value,
        "sharing": answer.sharing.value,
        "packages": [
            {
                "package": row.package.name,
                "version": row.package.version,
                "cells": [
                    {"start": stamp(start), "end": stamp(end), "count": count, "best": best}
                    for (start, end), count, best in zip(answer.cells, row.count, row.best, strict=True)
                ],
            }
            for row in answer.rows
        ],
    }
    assert json.loads(_as_json(answer)) == json.loads(json.dumps(AvailabilityOut().dump(told)))


def test_every_cell_is_escaped() -> None:
    hostile = '"><script>'
    html = drawn(
        [Cell("free", hostile, hostile, href=hostile), Cell("mine", "", hostile, booking_id=hostile)]
    )
    assert "<script>" not in html
    assert re.findall(r"<(\w+)", html) == ["td", "a", "i", "span"] * 2


def test_a_shelf_throws_away_what_was_not_asked_for_longest() -> None:
    weight = sys.getsizeof("x" * 10) + KEY_BYTES
    shelf, made = Shelf(10 * weight), list[str]()

    def make(key: str, length: int = 10) -> None:
        def text() -> str:
            made.append(key)
            return "x" * length

        shelf.get(key, text)

    for key in "abcdefghij":
        make(key)
    make("a")
    make("k")
    assert shelf.size == 10 * weight
    make("a")
    make("b")
    assert made == [*"abcdefghijk", "b"]
    make("large", 10 * weight // LARGEST_PART)
    make("large", 10 * weight // LARGEST_PART)
    assert made[-2:] == ["large", "large"]


@dataclass(frozen=True)
class Key:
    """As those of pages are: to hash one is work of the interpreter, which may turn to another thread meanwhile."""

    text: str


def test_threads_share_a_shelf_that_is_always_full() -> None:
    """What one of them throws away, another may be counting."""
    shelf, before = Shelf(2_000_000), sys.getswitchinterval()

    def live(number: int) -> None:
        dice = random.Random(number)
        for _ in range(1500):
            text = f"{dice.randrange(6000):020}"
            assert shelf.get(Key(text), text.strip) == text

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(live, range(8)))
    finally:
        sys.setswitchinterval(before)
    assert shelf.size <= 2_000_000
