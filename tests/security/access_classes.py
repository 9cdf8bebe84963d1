"""Classes about whose things are whose, and what a right is good for."""

from __future__ import annotations

from typing import Any

import marshmallow
from sqlalchemy import select

from booking.api import guard
from booking.api.noun import StrictParser
from booking.models import Account, Booking
from booking.services import accounts, bookings, groups, listing, tokens
from booking.services.context import Actor, Context
from tests.security.classes import Weakness, bearer, got_through, nothing, replaced, together, yes
from tests.security.matrix import SAFE, Caller, Kind, ask
from tests.security.table import SPAN, TABLE, WISH, Role, is_api
from tests.security.world import PASSWORD, World

WRITE = ("bookings:read", "bookings:write")
_LEGITIMATE = {"title", "notebook_url", "sharing"}


def other_peoples_things(world: World) -> list[str]:
    """Somebody with an account of their own calls every address of somebody else's."""
    eve, thing = world.token("eve", *WRITE), world.things
    booking, reservation = thing["booking"], thing["reservation"]
    tries: list[tuple[str, str, Any]] = [
        ("GET", f"/bookings/{booking}", None),
        ("GET", f"/bookings/{booking}/history", None),
        ("GET", "/groups/lab", None),
        ("PUT", f"/bookings/{booking}/guests/eve", None),
        ("PATCH", f"/bookings/{booking}", {"title": "mine"}),
        ("PATCH", f"/bookings/{booking}/reservations/{reservation}", {"end": "2030-01-07T13:00:00Z"}),
        ("POST", f"/bookings/{thing['held']}/confirm", None),
        ("DELETE", f"/tokens/{thing['token']}", None),
        ("DELETE", f"/bookings/{booking}", None),
    ]
    return got_through(world, eve, tries)


def _anybodys(session: Any, _actor: Actor, booking_id: str) -> Booking | None:
    found: Booking | None = session.get(Booking, booking_id)
    return found


def unchecked_handlers(world: World) -> list[str]:
    """Nobody calls every route that is not open."""
    nobody, found = Caller(None, Kind.NOTHING), []
    for (method, path), row in TABLE.items():
        if row.open or (method not in SAFE and not is_api(path)):
            continue
        answer = ask(world, method, path, row, nobody)
        led = answer.headers.get("Location", "").startswith("/login")
        if answer.status_code < 400 and not led:
            found.append(f"{method} {path}: {answer.status_code}")
    return found


def assigned_fields(world: World) -> list[str]:
    """A booking is asked for with every field that its row has."""
    eve = world.token("eve", *WRITE)
    fields = [name for name in Booking.__table__.columns.keys() if name not in _LEGITIMATE]  # noqa: SIM118
    spans = {"spans": [SPAN]}
    tries: list[tuple[str, str, Any]] = [("POST", "/bookings", WISH | spans | {name: "1"}) for name in fields]
    tries.append(("POST", "/tokens", {"scopes": ["bookings:read"], "account": "root"}))
    return got_through(world, eve, tries)


def climbing(world: World) -> list[str]:
    """Everybody tries to grant what they lack."""
    narrow, gwen, walt = (
        world.token("eve", "bookings:read"),
        world.token("gwen", *WRITE),
        world.token("walt", *WRITE),
    )
    found = got_through(
        world,
        narrow,
        [
            ("POST", "/tokens", {"scopes": ["bookings:write"]}),
            ("POST", "/tokens", {"scopes": ["admin"]}),
            ("PATCH", "/accounts/eve", {"admin": True}),
            ("PATCH", "/levels/1", {"limits": {}}),
        ],
    )
    found += got_through(world, walt, [("PUT", "/groups/lab/members/walt", {"role": "admin"})])
    return found + got_through(
        world, gwen, [("PATCH", "/accounts/gwen", {"level": 9}), ("GET", "/journal", None)]
    )


def shares_that_ended(world: World) -> list[str]:
    """Those who may no longer, and those who were only let in, look and share on."""
    ada, gwen = world.token("ada", *WRITE), world.token("gwen", *WRITE)
    gina, rita = world.token("gina", *WRITE), world.token("rita", *WRITE)
    booking = f"/bookings/{world.things['booking']}"
    found = got_through(world, gina, [("PUT", f"{booking}/guests/eve", None), ("DELETE", booking, None)])
    world.client.delete(f"/api/v1{booking}/guests/gina", headers=bearer(ada))
    world.client.delete("/api/v1/groups/lab/members/rita", headers=bearer(gwen))
    for token in (gina, rita):
        found += got_through(world, token, [("GET", booking, None), ("GET", f"{booking}/history", None)])
    return found


def skipped_checks(world: World) -> list[str]:
    """A disabled account comes by session, by token, and by its password."""
    browser, token = world.sign_in("eve"), world.token("eve", *WRITE)
    world.execute("UPDATE account SET disabled_at = created_at WHERE name = 'eve'")
    found = got_through(
        world, token, [("GET", "/accounts/me", None), ("POST", "/bookings", WISH), ("GET", "/bookings", None)]
    )
    for path in ("/api/v1/accounts/me", "/bookings"):
        if world.client.get(path, headers={"Cookie": browser.cookie}).status_code == 200:
            found.append(f"{path} by session")
    body = {"name": "eve", "password": PASSWORD}
    if world.client.post("/api/v1/login", json=body).status_code == 200:
        found.append("by password")
    return found


def rights_that_outlive(world: World) -> list[str]:
    """A copied cookie after the logout; a session and a token after a new password."""
    copied, found = world.sign_in("eve"), []
    world.client.post("/logout", data={"csrf_token": copied.csrf}, headers={"Cookie": copied.cookie})
    again, token = world.sign_in("eve"), world.token("eve", "bookings:read")
    root = world.token("root", "admin")
    if world.client.get("/account", headers={"Cookie": copied.cookie}).status_code == 200:
        found.append("a cookie after the logout")
    world.call(root, "PATCH", "/accounts/eve", {"password": "another password"})
    if world.client.get("/account", headers={"Cookie": again.cookie}).status_code == 200:
        found.append("a session after a new password")
    return found + got_through(world, token, [("GET", "/bookings", None)])


def unwritten_changes(world: World) -> list[str]:
    """Each change of state by an administrator, one after the other, counted in the journal."""
    world.keep("before")
    held = frozenset({"admin", *WRITE, "accounts:read", "availability:read"})
    root = Caller(Role.ADMIN, Kind.BEARER, held, bearer(world.token("root", *sorted(held))))
    world.keep("before")
    found = []
    for (method, path), row in TABLE.items():
        if method in SAFE or path.endswith(("/login", "/logout", "/try")):
            continue
        before = world.count("journal")
        if ask(world, method, path, row, root).status_code < 400 and world.count("journal") == before:
            found.append(f"{method} {path}")
        world.put_back("before")
    return found


def trial_accounts_that_stay(world: World) -> list[str]:
    """A visitor who gave it a try takes a password, a name or a level, and so an account before its owner does."""
    tried = world.client.post("/api/v1/accounts/try").get_json()
    path = f"/accounts/{tried['account']['name']}"
    got_through(
        world, tried["token"], [("PATCH", path, {"password": "mine for ever"}), ("PATCH", path, {"level": 2})]
    )
    found = got_through(world, tried["token"], [("POST", "/accounts", {"name": "ada@example.org"})])

    def kept(session: Any) -> list[Account]:
        hash_or_level = (Account.password_hash.is_not(None)) | (Account.level > 0)
        return list(session.scalars(select(Account).where(Account.kind == "anonymous", hash_or_level)))

    return found + [account.name for account in world.ctx.db.read("kept", kept)]


_ALL_SEEN = together(
    replaced(bookings, "visible", _anybodys),
    replaced(bookings, "owned", _anybodys),
    replaced(listing, "visible", _anybodys),
)
CLASSES = (
    Weakness(1, "somebody else's objects", other_peoples_things, _ALL_SEEN),
    Weakness(2, "a handler without its check", unchecked_handlers, replaced(guard, "check_access", nothing)),
    Weakness(
        3,
        "fields that a client must not set",
        assigned_fields,
        replaced(
            StrictParser,
            "DEFAULT_UNKNOWN_BY_LOCATION",
            StrictParser.DEFAULT_UNKNOWN_BY_LOCATION | {"json": marshmallow.EXCLUDE},
        ),
    ),
    Weakness(
        5,
        "accounts taken before their owner comes",
        trial_accounts_that_stay,
        replaced(Actor, "require", nothing),
    ),
    Weakness(
        7,
        "rights that climb",
        climbing,
        together(replaced(tokens, "_check_grant", nothing), replaced(groups, "LEAST_LEVEL", 0)),
    ),
    Weakness(8, "shares that do not end", shares_that_ended, replaced(bookings, "may_use", yes)),
    Weakness(17, "a way in that skips a check", skipped_checks, replaced(tokens, "usable", yes)),
    Weakness(
        19, "rights that outlive a logout", rights_that_outlive, replaced(accounts, "end_sessions", nothing)
    ),
    Weakness(20, "changes that nobody wrote down", unwritten_changes, replaced(Context, "journal", nothing)),
)
