"""Asks the application, for everybody and every kind of credential, whether it does what the table says."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from booking.services.context import FOR_ADMINS, SCOPES
from tests.security.table import ADMIN, TABLE, Body, Role, Row, is_api
from tests.security.world import SECRET_TITLE, Browser, World

SAFE = ("GET", "HEAD", "OPTIONS")


class Kind(StrEnum):
    """What somebody comes with."""

    NOTHING = "nothing"
    VISITOR = "a session that belongs to nobody"
    SESSION = "session"
    FORGED = "session without the proof of a form"
    LEFT = "session that was ended"
    SHUT_SESSION = "session of a disabled account"
    BEARER = "token"
    EXPIRED = "expired token"
    REVOKED = "revoked token"
    SHUT_BEARER = "token of a disabled account"
    UNKNOWN = "token that never was"


ALIVE = (Kind.SESSION, Kind.FORGED, Kind.BEARER)
DEAD_TOKENS = (Kind.EXPIRED, Kind.REVOKED, Kind.SHUT_BEARER, Kind.UNKNOWN)
_NAMES = {
    Role.OWNER: "ada",
    Role.OTHER: "eve",
    Role.GUEST: "gina",
    Role.READER: "rita",
    Role.WRITER: "walt",
    Role.KEEPER: "gwen",
    Role.ADMIN: "root",
    Role.SERVICE: "bot",
}


@dataclass(frozen=True)
class Caller:
    """Somebody, and what they come with."""

    role: Role | None
    kind: Kind
    rights: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    csrf: str = ""

    def __str__(self) -> str:
        rights = f" with {', '.join(sorted(self.rights))}" if self.kind is Kind.BEARER else ""
        return f"{self.role or 'nobody'} by {self.kind}{rights}"


def callers(world: World, roles: Iterable[Role] = tuple(Role)) -> list[Caller]:
    """Everybody (of some roles) with everything; leaves the snapshots `alive` and `shut` of the world."""
    found = [
        Caller(None, Kind.NOTHING),
        _by_session(None, Kind.VISITOR, world.visit("/login")),
        _by_token(None, Kind.UNKNOWN, "x" * 43),
    ]
    trial = world.call(world.token("root", "admin"), "POST", "/accounts/try")["account"]["name"]
    names = {role: name for role, name in (_NAMES | {Role.TRIAL: trial}).items() if role in roles}
    for role, name in names.items():
        found += _with_tokens(world, role, name)
    for role, name in names.items():
        if role is not Role.SERVICE:
            found += _with_sessions(world, role, name)
    world.keep("alive")
    world.execute("UPDATE account SET disabled_at = created_at WHERE name != 'lena'")
    world.keep("shut")
    return found


def _with_tokens(world: World, role: Role, name: str) -> Iterator[Caller]:
    own = frozenset(SCOPES if role is Role.ADMIN else set(SCOPES) - FOR_ADMINS)
    for rights in (own, *(frozenset({scope}) for scope in sorted(own))):
        plain = role is Role.ADMIN and ADMIN not in rights
        yield _by_token(
            Role.PLAIN if plain else role, Kind.BEARER, world.token(name, *sorted(rights)), rights
        )
    for kind, change in (
        (Kind.EXPIRED, "expires_at = created_at"),
        (Kind.REVOKED, "revoked_at = created_at"),
    ):
        token = world.token(name, *sorted(own))
        world.execute(f"UPDATE token SET {change} WHERE rowid = (SELECT max(rowid) FROM token)")
        yield _by_token(role, kind, token)
    yield _by_token(role, Kind.SHUT_BEARER, world.token(name, *sorted(own)))


def _by_token(role: Role | None, kind: Kind, token: str, rights: frozenset[str] = frozenset()) -> Caller:
    return Caller(role, kind, rights, {"Authorization": f"Bearer {token}"})


def _with_sessions(world: World, role: Role, name: str) -> Iterator[Caller]:
    if role is Role.TRIAL:
        left, browser = world.try_it(), world.try_it()
    else:
        left, browser = world.sign_in(name), None
    form = {"csrf_token": left.csrf}
    gone = world.client.post("/logout", data=form, headers={"Cookie": left.cookie})
    assert gone.status_code == 303
    yield _by_session(role, Kind.LEFT, left)
    browser = browser or world.sign_in(name)
    for kind in (Kind.SESSION, Kind.FORGED, Kind.SHUT_SESSION):
        yield _by_session(role, kind, browser)


def _by_session(role: Role | None, kind: Kind, browser: Browser) -> Caller:
    csrf = "" if kind is Kind.FORGED else browser.csrf
    return Caller(role, kind, frozenset(SCOPES), {"Cookie": browser.cookie}, csrf)


def leading(everybody: Iterable[Caller]) -> list[Caller]:
    """Those for whom every route is tried whatever is left out: the owner and the administrator with all their
    rights, and nobody."""
    kinds = (Kind.NOTHING, Kind.VISITOR, Kind.SESSION, Kind.BEARER)
    return [
        one
        for one in everybody
        if one.role in (None, Role.OWNER, Role.ADMIN) and one.kind in kinds and len(one.rights) != 1
    ]


def expected(method: str, path: str, row: Row, caller: Caller) -> int:
    """What the table says."""
    by_page, changes = not is_api(path), method not in SAFE
    if changes and caller.kind is Kind.FORGED:
        return 400 if by_page else 403
    if changes and by_page and caller.kind is Kind.NOTHING:
        return 400
    if caller.kind in ALIVE:
        return _of_somebody(row, caller)
    if row.shut and caller.kind in (Kind.SHUT_BEARER, Kind.SHUT_SESSION):
        return row.shut
    if row.open and not (row.strict and caller.kind in DEAD_TOKENS):
        return row.nobody or row.ok
    led_to_the_door = by_page and not changes and caller.kind not in DEAD_TOKENS
    return 303 if led_to_the_door else 401


def _of_somebody(row: Row, caller: Caller) -> int:
    if not all(_has(caller, right) for right in row.rights):
        return 403
    if caller.role in row.who:
        return row.ok
    return 403 if caller.role in row.forbidden else row.denied


def _has(caller: Caller, right: str) -> bool:
    if right == ADMIN:
        return caller.role is Role.ADMIN
    return right in caller.rights or (caller.role is Role.ADMIN and ADMIN in caller.rights)


def ask(world: World, method: str, path: str, row: Row, caller: Caller) -> TestResponse:
    """One request, as this caller makes it."""
    address = re.sub(r"<(?:[^:<>]*:)?(\w+)>", lambda name: _thing(world, row, name[1]), path)
    headers = dict(caller.headers)
    more: dict[str, Any] = {}
    if caller.csrf and is_api(path):
        headers["X-CSRFToken"] = caller.csrf
    if row.body is not None:
        more["json"] = _filled(world, row.body, caller)
    elif method not in SAFE and not is_api(path):
        csrf = {"csrf_token": caller.csrf} if caller.csrf else {}
        more["data"] = _filled(world, row.form, caller) | csrf
    if method == "PATCH":
        headers["If-Match"] = "*"
    return world.client.open(address, method=method, query_string=row.query, headers=headers, **more)


def _thing(world: World, row: Row, name: str) -> str:
    name = "booking" if name == "booking_id" and name not in dict(row.names) else name
    meant = dict(row.names).get(name, name)
    return world.things.get(meant, meant)


def _filled(world: World, body: Body, caller: Caller) -> dict[str, Any]:
    found = body(caller.rights) if callable(body) else dict(body or {})
    return {
        name: world.things[value[1:-1]] if isinstance(value, str) and value.startswith("<") else value
        for name, value in found.items()
    }


def routes(app: Flask) -> set[tuple[str, str]]:
    """Every route and method of an application."""
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


@dataclass
class Result:
    """What a walk through the matrix showed."""

    asked: int = 0
    changed: int = 0
    """Answers that changed something, after which everything was put back."""
    faults: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)
    """Changes that left no entry in the journal."""


_UNWRITTEN = ("/login", "/logout", "/api/v1/login")
"""Coming in by the form and leaving change nothing but the browser; see the tests of the journal."""


def walk(world: World, everybody: Iterable[Caller], share: float = 1.0, seed: int = 0) -> Result:
    """Ask everything, or a share of it that the seed draws."""
    result, dice = Result(), random.Random(seed)
    people = sorted(everybody, key=lambda caller: caller.kind in (Kind.SHUT_BEARER, Kind.SHUT_SESSION))
    at = ""
    for caller in people:
        snapshot = "shut" if caller.kind in (Kind.SHUT_BEARER, Kind.SHUT_SESSION) else "alive"
        if snapshot != at:
            world.put_back(snapshot)
            at = snapshot
        for (method, path), row in sorted(TABLE.items()):
            if dice.random() < share:
                _probe(world, method, path, row, caller, snapshot, result)
    return result


def _probe(
    world: World, method: str, path: str, row: Row, caller: Caller, snapshot: str, result: Result
) -> None:
    changes = method not in SAFE
    before = world.count("journal") if changes else 0
    with ask(world, method, path, row, caller) as response:
        text = response.get_data(as_text=True)
    result.asked += 1
    told = f"{method} {path} by {caller}"
    wanted = expected(method, path, row, caller)
    if response.status_code != wanted:
        result.faults.append(f"{told}: {response.status_code}, not {wanted}: {' '.join(text.split())[:160]}")
    went = response.status_code < 400
    if not went and SECRET_TITLE in text:
        result.faults.append(f"{told}: the refusal tells what it is about")
    if not changes:
        return
    written = world.count("journal") - before
    if went:
        result.changed += 1
        if written < 1 and path not in _UNWRITTEN and not (path == "/try" and caller.kind in ALIVE):
            result.unwritten.append(told)
        world.put_back(snapshot)
    elif written:
        result.faults.append(f"{told}: refused, and yet the journal grew by {written}")
        world.put_back(snapshot)
