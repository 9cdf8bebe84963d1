"""Calendars from a real standby: what is shown, what is never decided there, and who sees what they did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event
from werkzeug.test import TestResponse

from booking.app import build, context_of
from booking.config import Settings
from booking.doors import Db, Doors, open_engine
from booking.models import Pool
from booking.replica import AGAIN_SECONDS, Place, ReadingDb
from booking.services import accounts, setup, tokens
from tests.adapters.waiting import eventually
from tests.support.doors import SequenceIds, TestClock
from tests.support.postgres import can_replicate
from tests.support.reader import Reader
from tests.support.site import Site
from tests.trust.failover.pair import Pair, asked, pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.skipif(not can_replicate(), reason="the wheel of PostgreSQL brings no pg_basebackup"),
]


@dataclass
class Copied:
    """A site over a primary and its standby, and what each of them was asked."""

    app: Flask
    site: Site
    pair: Pair
    clock: TestClock
    token: str
    statements: dict[str, list[str]] = field(default_factory=dict)

    def watch(self, name: str, engine: Engine) -> None:
        noted = self.statements.setdefault(name, [])
        event.listen(engine, "before_cursor_execute", lambda *words: noted.append(words[2]))

    def asked_for_pools(self, name: str) -> bool:
        """Whether somebody has looked for a pool there since this was asked last."""
        found = any("FROM pool" in text for text in self.statements[name])
        self.statements[name].clear()
        return found

    def call(self, method: str, path: str, seen: str = "", **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Booking-Seen": seen} if seen else {})
        return self.app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **more)

    def book(self, start: datetime) -> TestResponse:
        span = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
        return self.call(
            "POST", "/bookings", json={"package": "pair", "sharing": "reserved", "spans": [span]}
        )

    def calendar(self, start: datetime, seen: str = "") -> tuple[int, int]:
        """The generation that is shown, and how many pairs are free in that hour."""
        query = {
            "from": start.isoformat(),
            "to": (start + timedelta(hours=1)).isoformat(),
            "granularity": "hour",
            "package": "pair",
        }
        answer = self.call("GET", "/availability", seen, query_string=query)
        assert answer.status_code == 200, answer.text
        found = answer.json
        assert found is not None
        return found["generation"], found["packages"][0]["cells"][0]["count"]

    def generation(self) -> int:
        return int(self.site.ctx.db.read("generation", lambda s: s.query(Pool).one().generation))

    def stop_replaying(self) -> None:
        asked(self.pair.standby.url, "SELECT pg_wal_replay_pause()")
        state = "SELECT pg_get_wal_replay_pause_state()"
        eventually(lambda: asked(self.pair.standby.url, state) == "paused")

    def replay(self) -> None:
        asked(self.pair.standby.url, "SELECT pg_wal_replay_resume()")
        self.pair.caught_up()


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Copied]:
    """One pair fits at once; calendars have been read at the standby already."""
    from booking import migrate

    with pair() as servers:
        url, other = (
            server.url.set(database="booking").render_as_string(hide_password=False)
            for server in (servers.primary, servers.standby)
        )
        engine, clock = open_engine(url), TestClock()
        migrate.upgrade(engine)
        settings = Settings(home=tmp_path, database_url=url, replica_url=other, secret_key="s")
        app = build(settings, Doors(clock, SequenceIds(), Db(engine, clock)))
        ctx = context_of(app)
        site = Site(ctx)
        site.pool(cores=2, memory_mib=1024 * 2)
        site.package("pair", 2)
        site.person("crowd", admin=True)
        setup.bare(ctx)
        accounts.create(ctx, None, accounts.NewAccount("ann", "correct horse", 2))
        token = tokens.make(ctx, None, "crowd", ("availability:read", "bookings:read", "bookings:write"))
        made = Copied(app, site, servers, clock, token.secret)
        reading = ctx.reader.db
        assert isinstance(reading, ReadingDb)
        made.watch("primary", engine)
        made.watch("standby", reading._standby.engine)
        asked(servers.primary.url, "CHECKPOINT")
        servers.caught_up()
        yield made
        reading._standby.engine.dispose()
        engine.dispose()


def hour(copied: Copied, number: int) -> datetime:
    return copied.clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=number)


def test_calendars_are_read_at_the_standby_and_promises_are_made_at_the_primary(copied: Copied) -> None:
    start = hour(copied, 24)
    assert copied.calendar(start)[1] == 1
    assert copied.asked_for_pools("standby")
    assert not copied.asked_for_pools("primary")
    booked = copied.book(start)
    assert booked.status_code == 201
    assert not copied.asked_for_pools("standby")
    assert copied.asked_for_pools("primary")
    copied.pair.caught_up()
    assert copied.calendar(start, booked.headers["Booking-Seen"]) == (copied.generation(), 0)
    assert copied.asked_for_pools("standby")


def test_who_has_booked_sees_it_though_the_standby_lags_and_nothing_is_decided_there(copied: Copied) -> None:
    start = hour(copied, 24)
    before = copied.calendar(start)
    copied.stop_replaying()
    booked = copied.book(start)
    assert booked.status_code == 201
    assert copied.calendar(start) == before, "somebody else is shown the past, and its generation says so"
    after = copied.generation()
    assert after > before[0]
    copied.statements["standby"].clear()
    assert copied.calendar(start, booked.headers["Booking-Seen"]) == (after, 0)
    assert not copied.asked_for_pools("standby")
    assert copied.book(start).status_code == 409, "the standby still shows it free"
    copied.replay()
    assert copied.calendar(start) == (after, 0)
    assert copied.asked_for_pools("standby")


def test_a_browser_has_what_it_has_seen_in_its_session(copied: Copied) -> None:
    reader = Reader(copied.app)
    copied.calendar(hour(copied, 24))
    copied.stop_replaying()
    copied.statements["standby"].clear()
    reader.sign_in("ann")
    assert not copied.asked_for_pools("standby"), "the calendar after signing in is that of the primary"
    copied.replay()
    reader.get("/calendar")
    assert copied.asked_for_pools("standby")


def test_a_hold_that_is_due_ends_though_the_standby_does_not_hear_of_it(copied: Copied) -> None:
    start = hour(copied, 24)
    span = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
    body = {"package": "pair", "sharing": "reserved", "spans": [span], "hold": "PT1H"}
    held = copied.call("POST", "/bookings", json=body)
    assert held.status_code == 201, held.text
    copied.pair.caught_up()
    assert copied.calendar(start)[1] == 0
    copied.stop_replaying()
    copied.clock.advance(timedelta(hours=2))
    assert copied.calendar(start)[1] == 1
    copied.replay()


def test_without_the_standby_the_primary_answers_and_the_standby_is_found_again(copied: Copied) -> None:
    start = hour(copied, 24)
    copied.calendar(start)
    copied.pair.standby.kill()
    copied.statements["primary"].clear()
    assert copied.calendar(start)[1] == 1
    assert copied.asked_for_pools("primary")
    copied.pair.standby.start_again()
    copied.book(start)
    copied.pair.caught_up()
    copied.clock.advance(timedelta(seconds=2 * AGAIN_SECONDS))
    assert copied.calendar(start) == (copied.generation(), 0)
    assert copied.asked_for_pools("standby")


def test_a_standby_that_was_promoted_is_passed_by(copied: Copied) -> None:
    start = hour(copied, 24)
    asked(copied.pair.standby.url, "SELECT pg_promote(true, 30)")
    assert copied.book(start).status_code == 201
    copied.clock.advance(timedelta(seconds=2 * AGAIN_SECONDS))
    assert copied.calendar(start)[1] == 0
    assert not copied.asked_for_pools("standby")


def test_places_of_the_log_are_ordered_and_nothing_else_is_one() -> None:
    early, late = Place.of("1/FF"), Place.of("A/0")
    assert early is not None
    assert late is not None
    assert early < late
    assert str(late) == "A/0"
    assert [Place.of(text) for text in ("", "x", "1/", "1/2/3", "1/123456789", "-1/2")] == [None] * 6
