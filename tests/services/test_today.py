"""The board of a day: each reservation stands where somebody who runs the site looks for it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.doors import Doors
from booking.errors import Forbidden, NotFound
from booking.scheduler import Scheduler
from booking.services import bookings, today
from booking.services.today import Board
from tests.support.doors import TestClock
from tests.support.site import HOUR, ROOT, Site, make_site, until

DAY = timedelta(days=1)


@pytest.fixture
def site(doors: Doors) -> Site:
    site = make_site(doors, provision_attempts=1)
    site.pool(8)
    site.package("one", 1)
    return site


@pytest.fixture
def now(clock: TestClock) -> datetime:
    return clock.now()


def lists(board: Board) -> dict[str, list[str]]:
    """The titles of each list that has some; here a booking has the name of its account."""
    found = {name: getattr(board, name) for name in ("starts", "runs", "ends", "failed")}
    return {name: [line.account for line in lines] for name, lines in found.items() if lines}


def test_what_begins_ends_and_lasts_stands_in_its_list(site: Site, now: datetime) -> None:
    for name, start, end in (
        ("within", HOUR, 2 * HOUR),
        ("over night", 3 * HOUR, DAY),
        ("for days", HOUR, 3 * DAY),
        ("next week", 7 * DAY, 8 * DAY),
    ):
        site.book(site.person(name.replace(" ", "-")), "one", Span(now + start, now + end))
    assert lists(today.board(site.ctx, ROOT)) == {
        "starts": ["within", "for-days", "over-night"],
        "ends": ["within"],
    }
    assert lists(today.board(site.ctx, ROOT, day=now + DAY)) == {"runs": ["for-days"], "ends": ["over-night"]}
    assert lists(today.board(site.ctx, ROOT, day=now.date() + 20 * DAY)) == {}


def test_what_runs_now_is_seen_with_its_cluster(site: Site, clock: TestClock, now: datetime) -> None:
    made = site.book(site.person("ann"), "one", Span(now, now + 2 * HOUR))
    scheduler = Scheduler(site.ctx, NullProvisioner(clock), "test")
    until(lambda: site.only(made.id).state is State.ACTIVE, lambda: _step(scheduler, clock))
    board = today.board(site.ctx, ROOT)
    (line,) = board.runs
    assert (line.booking, line.state, line.phase) == (made.id, State.ACTIVE, "ready")
    assert lists(board) == {"starts": ["ann"], "runs": ["ann"], "ends": ["ann"]}


def _step(scheduler: Scheduler, clock: TestClock) -> None:
    scheduler.tick()
    clock.advance(timedelta(seconds=5))


def test_what_failed_stands_alone_with_its_reason(site: Site, clock: TestClock, now: datetime) -> None:
    made = site.book(site.person("ann"), "one", Span(now, now + HOUR))
    clock.advance(2 * HOUR)
    scheduler = Scheduler(site.ctx, NullProvisioner(clock), "test")
    until(lambda: site.only(made.id).state is State.FAILED, lambda: _step(scheduler, clock))
    board = today.board(site.ctx, ROOT)
    assert lists(board) == {"failed": ["ann"]}
    assert board.failed[0].reason == "the service was not running during the whole span"


def test_what_was_cancelled_or_whose_hold_is_over_is_not_there(
    site: Site, clock: TestClock, now: datetime
) -> None:
    ann = site.person("ann")
    made = site.book(ann, "one", Span(now + HOUR, now + 2 * HOUR))
    site.book(ann, "one", Span(now + HOUR, now + 2 * HOUR), hold=timedelta(minutes=5))
    assert lists(today.board(site.ctx, ROOT))["starts"] == ["ann", "ann"]
    bookings.cancel(site.ctx, ann, made.id)
    clock.advance(timedelta(minutes=5))
    assert lists(today.board(site.ctx, ROOT)) == {}


def test_a_day_is_that_of_the_pool(site: Site, now: datetime) -> None:
    site.pool(8, timezone="Asia/Tokyo", name="tokyo")
    late = datetime.combine(now.date(), datetime.min.time(), now.tzinfo) + 16 * HOUR
    site.book(site.person("ann"), "one", Span(late, late + HOUR), pool="tokyo")
    assert lists(today.board(site.ctx, ROOT))["starts"] == ["ann"]
    assert lists(today.board(site.ctx, ROOT, pool="tokyo", day=now.date())) == {}
    following = today.board(site.ctx, ROOT, pool="tokyo", day=now.date() + DAY)
    assert lists(following)["starts"] == ["ann"]
    assert following.zone.key == following.starts[0].timezone == "Asia/Tokyo"
    assert today.board(site.ctx, ROOT, pool="pool").lines == ()


def test_its_tag_changes_with_what_it_shows(site: Site, now: datetime) -> None:
    before = today.board(site.ctx, ROOT).tag
    assert today.board(site.ctx, ROOT).tag == before
    made = site.book(site.person("ann"), "one", Span(now + HOUR, now + 2 * HOUR))
    booked = today.board(site.ctx, ROOT).tag
    assert booked != before
    bookings.cancel(site.ctx, site.person("ann"), made.id)
    assert today.board(site.ctx, ROOT).tag == before


def test_a_board_that_holds_too_much_says_so(
    site: Site, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(today, "MOST_LINES", 1)
    for hour in (1, 2):
        site.book(site.person("ann"), "one", Span(now + hour * HOUR, now + (hour + 1) * HOUR))
    board = today.board(site.ctx, ROOT)
    assert (len(board.lines), board.is_cut) == (1, True)


def test_it_is_for_administrators_and_needs_a_pool(site: Site) -> None:
    with pytest.raises(Forbidden):
        today.board(site.ctx, site.person("ann"))
    with pytest.raises(NotFound):
        today.board(site.ctx, ROOT, pool="moon", day=date(2030, 1, 1))
