"""Every route and method, asked by everybody with every kind of credential, answers as the table says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from booking import pages
from booking.api import guard, health
from booking.config import Settings
from booking.errors import BookingError
from booking.models import Booking
from booking.services import bookings, tokens
from booking.services.context import Actor
from tests.security.matrix import Kind, callers, leading, routes, walk
from tests.security.table import TABLE, Role
from tests.security.world import World, bare_world

SHARE = 0.05
"""Of the requests of those who are nothing special; `make trust` asks them all."""


def test_every_route_and_method_has_a_row(world: World) -> None:
    assert routes(world.app) == set(TABLE)


@pytest.mark.slow
def test_everybody_is_answered_as_the_table_says(world: World) -> None:
    everybody = callers(world)
    for people, share in ((leading(everybody), 1.0), (everybody, SHARE)):
        result = walk(world, people, share)
        assert result.faults == []
        assert result.unwritten == [], "a change left nothing in the journal"
        assert result.asked > 300


def test_what_is_no_method_of_an_address_is_refused(world: World) -> None:
    token = {"Authorization": f"Bearer {world.token('root', 'admin')}"}
    rules = {rule.rule for rule in world.app.url_map.iter_rules() if "<" not in rule.rule}
    for path in rules:
        known = {method for method, of in TABLE if of == path} | {"HEAD", "OPTIONS"}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - known:
            answer = world.client.open(path, method=method, headers=token)
            assert answer.status_code == 405, (method, path)


def _nobody_is_asked(*_: Any) -> None:
    return None


def _everything_is_shown(session: Any, _actor: Actor, booking_id: str) -> Any:
    return session.get(Booking, booking_id)


def _for_ever(_account: object, _now: object) -> bool:
    return True


@pytest.mark.parametrize(
    "where, name, flaw, seen_by, kind",
    [
        (guard, "check_access", _nobody_is_asked, None, Kind.NOTHING),
        (bookings, "owned", _everything_is_shown, Role.OTHER, Kind.BEARER),
        (bookings, "may_use", lambda *_: True, Role.OTHER, Kind.SESSION),
        (tokens, "usable", _for_ever, Role.OWNER, Kind.SHUT_BEARER),
        (Actor, "require", _nobody_is_asked, Role.OTHER, Kind.BEARER),
    ],
)
def test_a_hole_that_is_cut_is_found(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    flaw: Callable[..., Any],
    seen_by: Role | None,
    kind: Kind,
) -> None:
    roles = (seen_by or Role.OTHER,)
    some = [caller for caller in callers(world, roles) if (caller.role, caller.kind) == (seen_by, kind)]
    monkeypatch.setattr(where, name, flaw)
    assert walk(world, some).faults != []


def _quiet() -> str:
    return "anybody reads this"


def _by_page(app: Flask) -> None:
    app.add_url_rule("/planted", view_func=_quiet)


def _by_noun(app: Flask) -> None:
    app.add_url_rule("/api/v1/planted", endpoint=f"{health.blp.name}.planted", view_func=_quiet)


@pytest.mark.parametrize("plant", [_by_page, _by_noun])
def test_an_application_with_an_undeclared_route_does_not_start(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, plant: Callable[[Flask], None]
) -> None:
    complete = pages.init_app

    def with_more(app: Flask) -> None:
        complete(app)
        plant(app)

    monkeypatch.setattr(pages, "init_app", with_more)
    with pytest.raises(guard.UndeclaredRoutes, match="planted"), bare_world(tmp_path):
        pass


def test_a_route_that_comes_late_and_says_nothing_is_closed(world: World) -> None:
    world.app._got_first_request = False
    world.app.add_url_rule("/planted", view_func=_quiet)
    answer = world.client.get("/planted")
    assert answer.status_code == 500
    assert b"anybody" not in answer.data


def test_settings_name_no_way_around(world: World) -> None:
    assert not [name for name in Settings.names() if "AUTH" in name or "DEBUG" in name or "INSECURE" in name]
    assert issubclass(guard.UndeclaredRoutes, Exception)
    assert not issubclass(guard.UndeclaredRoutes, BookingError)
