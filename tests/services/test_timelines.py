"""The cache of timelines: catching up, reading an older state, and starting from a snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from booking.allocator.packing import packed
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.allocator.timeline import Timeline
from booking.models import Ledger, Pool, Snapshot
from booking.services import snapshots, timelines, verify
from booking.services.availability import Question, availability
from booking.services.states import state_of
from booking.services.timelines import PoolState, Timelines
from tests.support.doors import START
from tests.support.site import HOUR, Site

DAY = START.replace(hour=0)
SPAN = Span(START + HOUR, START + 3 * HOUR)


@pytest.fixture
def booked(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A pool with a few bookings, in which a snapshot is due after every second generation."""
    monkeypatch.setattr(snapshots, "EVERY", 2)
    site.pool(100)
    site.package("half", 4)
    for name in ("ann", "bob", "cat"):
        site.book(site.person(name), "half", SPAN)
    return site


def read(site: Site) -> PoolState:
    return site.ctx.db.read("state", lambda s: state_of(site.ctx, s, the_pool(s)))


def the_pool(session: Session) -> str:
    pool = session.query(Pool).one()
    return pool.id


def fresh(site: Site) -> Site:
    """The same site, seen by a process that has just started."""
    return replace(site, ctx=replace(site.ctx, timelines=Timelines()))


def same(one: PoolState, other: PoolState) -> bool:
    minutes = SPAN.minutes
    return one.generation == other.generation and one.timeline.segments(*minutes) == other.timeline.segments(
        *minutes
    )


def test_a_new_process_starts_from_the_snapshot_and_the_ledger_after_it(
    booked: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert snapshots.take(booked.ctx) == 1
    booked.book(booked.person("dan"), "half", SPAN)

    def never(*_: object) -> PoolState:
        raise AssertionError("the whole ledger was read")

    expected = read(booked)
    monkeypatch.setattr(timelines, "from_ledger", never)
    assert same(read(fresh(booked)), expected)


def test_a_snapshot_is_taken_again_when_enough_has_changed(booked: Site) -> None:
    assert snapshots.take(booked.ctx) == 1
    assert snapshots.take(booked.ctx) == 0
    booked.book(booked.person("dan"), "half", SPAN)
    booked.book(booked.person("eve"), "half", SPAN)
    assert snapshots.take(booked.ctx) == 1
    assert same(read(fresh(booked)), read(booked))
    assert verify.differences(fresh(booked).ctx) == []


NOTHING = packed(Timeline.empty(0, 2 * 10**8))
"""A snapshot that is wrong, if it is used."""


@pytest.mark.parametrize(
    "values",
    [{"epoch": "another"}, {"generation": 99}, {"until": START}, {"data": b"of another release"}],
    ids=lambda values: next(iter(values)),
)
def test_a_snapshot_that_does_not_fit_is_not_used(booked: Site, values: dict[str, object]) -> None:
    snapshots.take(booked.ctx)
    spoiled = update(Snapshot).values({"data": NOTHING} | values)
    booked.ctx.db.run("spoil", lambda s: s.execute(spoiled))
    assert same(read(fresh(booked)), read(booked))


def test_a_snapshot_that_fits_is_believed(booked: Site) -> None:
    snapshots.take(booked.ctx)
    booked.ctx.db.run("spoil", lambda s: s.execute(update(Snapshot).values(data=NOTHING)))
    assert not same(read(fresh(booked)), read(booked))


def test_a_transaction_that_began_earlier_reads_its_own_state_from_the_cache(
    booked: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(booked)

    def look(session: Session) -> PoolState:
        pool_id = the_pool(session)  # from here on it sees this state
        booked.book(booked.person("dan"), "half", SPAN)
        assert read(booked).generation == before.generation + 1
        monkeypatch.setattr(timelines, "from_ledger", lambda *_: pytest.fail("built anew"))
        return state_of(booked.ctx, session, pool_id)

    assert same(booked.ctx.db.read("look", look), before)


def test_only_so_many_generations_are_kept(booked: Site) -> None:
    for number in range(6):
        booked.book(booked.person(f"p{number}"), "half", SPAN)
        read(booked)
    (kept,) = booked.ctx.timelines._states.values()
    assert len(kept) == timelines._KEPT
    assert [state.generation for state in kept] == sorted((s.generation for s in kept), reverse=True)


def test_the_ledger_alone_answers_for_verify(booked: Site) -> None:
    snapshots.take(booked.ctx)
    booked.ctx.db.run("spoil", lambda s: s.execute(update(Ledger).values(amount=Ledger.amount + 1)))
    assert any("in the ledger" in text for text in verify.differences(booked.ctx))


def a_year_ago(site: Site, days: int = 365) -> list[int]:
    """What of a `half` was free on one day of long ago."""
    first = DAY - timedelta(days=days)
    question = Question(first, first + 24 * HOUR, packages=("half",))
    (row,) = availability(site.ctx, question).rows
    return row.count


def test_years_gone_by_are_read_from_the_ledger_once_and_follow_its_changes(
    booked: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert a_year_ago(booked) == [25]
    monkeypatch.setattr(timelines, "from_ledger", lambda *_: pytest.fail("built anew"))
    assert a_year_ago(booked) == a_year_ago(booked, 366) == [25]
    assert read(booked).base.base > Span(START - timedelta(days=365), START).minutes[0]
    booked.book(booked.person("dan"), "half", SPAN)
    assert a_year_ago(booked) == [25]
    long_ago = Span(DAY - timedelta(days=365), DAY - timedelta(days=364))
    booked.add("pool", long_ago, Resources(4, 4096))
    assert a_year_ago(booked) == [26]


def test_a_pool_that_is_dropped_is_dropped_with_its_years(booked: Site) -> None:
    a_year_ago(booked)
    read(booked)
    assert len(booked.ctx.timelines._states) == 2
    booked.ctx.timelines.drop(read(booked).id)
    assert booked.ctx.timelines._states == {}


def test_what_was_not_used_for_longest_goes_first(booked: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = booked.ctx.timelines
    a_year_ago(booked)
    a_year_ago(booked, 3 * 365)
    kept.drop("nothing of the kind")
    assert len(kept._states) == 3
    monkeypatch.setattr(timelines, "_BYTES", kept.size)
    usual, _, older = kept._states
    a_year_ago(booked)
    a_year_ago(booked, 2 * 365)
    assert list(kept._states)[-1] not in (usual, older)
    assert usual not in kept._states
    assert kept.size <= timelines._BYTES
