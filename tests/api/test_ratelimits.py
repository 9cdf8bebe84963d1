"""Rate limits of the ways in: counted once for all processes, closed where they cannot be counted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from booking import create_app
from booking.config import Settings, SettingsError
from booking.doors import Doors
from booking.errors import ConcurrentUpdate, Unavailable
from booking.ratelimits import DatabaseStorage
from tests.api.support import Site
from tests.support.doors import TestClock
from tests.support.threads import in_threads


def test_where_hits_cannot_be_counted_nobody_comes_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, _: object) -> None:
        raise Unavailable("down") if name == "count a hit" else AssertionError(name)

    site.person("ann", password="correct horse")
    monkeypatch.setattr(site.ctx.db, "run", fail)
    site.nobody.post("/login", json={"name": "ann", "password": "correct horse"}).must(
        503, "service.unavailable"
    )
    site.nobody.post("/accounts/try").must(503)


def test_a_rate_that_cannot_be_read_stops_the_start(doors: Doors, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, secret_key="s" * 32, login_limit="often", try_limit="never")
    with pytest.raises(SettingsError) as caught:
        create_app(settings, doors)
    assert [fault.split()[0] for fault in caught.value.faults] == ["BOOKING_LOGIN_LIMIT", "BOOKING_TRY_LIMIT"]


def test_hits_are_counted_across_processes_and_forgotten_when_asked(site: Site, clock: TestClock) -> None:
    one, other = DatabaseStorage(site.ctx), DatabaseStorage(site.ctx)
    in_threads(*[lambda: one.incr("key", 60), lambda: other.incr("key", 60)] * 4)
    assert one.get("key") == other.get("key") == 8
    assert one.get_expiry("key") == clock.now().timestamp() + 60
    assert one.check()
    one.clear("key")
    assert other.get("key") == 0
    one.incr("key", 60, 3)
    clock.advance(timedelta(seconds=60))
    assert (one.get("key"), one.incr("key", 60)) == (0, 1)
    one.reset()
    assert (one.get("key"), one.get_expiry("key")) == (0, clock.now().timestamp())


def test_losing_every_race_for_a_count_closes_the_door(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ConcurrentUpdate("lost")

    monkeypatch.setattr(site.ctx.db, "run", fail)
    site.nobody.post("/accounts/try").must(503, "service.unavailable")


def test_signing_in_is_limited_by_name_and_by_address(site: Site, clock: TestClock) -> None:
    def attempt(name: str, address: str) -> int:
        body = {"name": name, "password": "x"}
        answer = site.nobody.post("/login", json=body, environ_base={"REMOTE_ADDR": address})
        if answer.status == 429:
            answer.must(429, "request.too_many")
            assert 1 <= int(answer.headers["Retry-After"]) <= 300
        return answer.status

    assert [attempt("ann", f"192.0.2.{n}") for n in range(11)] == [401] * 10 + [429]
    assert [attempt(f"ben{n}", "198.51.100.1") for n in range(11)] == [401] * 10 + [429]
    clock.advance(timedelta(minutes=5))
    assert attempt("ann", "198.51.100.1") == 401


def test_trying_it_is_limited_by_address(site: Site) -> None:
    answers = [site.nobody.post("/accounts/try") for _ in range(21)]
    assert [answer.status for answer in answers] == [201] * 20 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600
