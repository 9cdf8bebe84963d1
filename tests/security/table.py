"""The access matrix as it is meant: for each route and method who may, with which rights, and what the others hear.

A route that is not here fails the build. The rows say nothing about how the product decides: they are
written from the documents, and `matrix.py` asks the application whether it agrees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias


class Role(StrEnum):
    """Who somebody is to the booking and the group of the world."""

    TRIAL = "trial"
    OWNER = "owner"
    OTHER = "other"
    GUEST = "guest"
    READER = "reader"
    WRITER = "writer"
    KEEPER = "administrator of the group"
    ADMIN = "administrator"
    PLAIN = "administrator without the right admin"
    SERVICE = "service"


Who: TypeAlias = frozenset[Role]
Body: TypeAlias = "dict[str, Any] | Callable[[frozenset[str]], dict[str, Any]] | None"
ALL: Who = frozenset(Role)
KNOWN: Who = ALL - {Role.TRIAL}
USES: Who = frozenset({Role.OWNER, Role.GUEST, Role.READER, Role.WRITER, Role.KEEPER})
SEES: Who = USES | {Role.ADMIN}
OWNS: Who = frozenset({Role.OWNER, Role.ADMIN})
MEMBERS: Who = frozenset({Role.OWNER, Role.READER, Role.WRITER, Role.KEEPER})
KEEPS: Who = frozenset({Role.KEEPER, Role.ADMIN})
READ, WRITE, ACCOUNTS, ADMIN = "bookings:read", "bookings:write", "accounts:read", "admin"
STRANGERS = "strangers:write"
API = "/api/v1"


@dataclass(frozen=True)
class Row:
    """What one route answers to whom."""

    ok: int = 200
    rights: tuple[str, ...] = ()
    """Every one of them is needed by somebody who is known."""
    who: Who = ALL
    forbidden: Who = frozenset()
    """Those who may know that it is there, and may not: 403."""
    denied: int = 404
    """What everybody else is told."""
    open: bool = False
    """Nobody in particular may call it too."""
    nobody: int = 0
    """What nobody in particular is answered, where that differs."""
    shut: int = 0
    """What everybody is answered while every account is disabled, where that differs."""
    strict: bool = False
    """It is open, and yet a token that does not hold is refused."""
    body: Body = None
    form: Body = None
    query: str = ""
    names: tuple[tuple[str, str], ...] = ()
    """Names in the address that do not stand for the thing of that name."""


def _public(ok: int = 200, **more: Any) -> Row:
    return Row(ok, open=True, **more)


def _free(**more: Any) -> Row:
    """What is free may be read by anybody."""
    return Row(open=True, strict=True, **more)


def _admin(ok: int = 200, **more: Any) -> Row:
    return Row(ok, (ADMIN,), **more)


def _owned(ok: int, rights: tuple[str, ...] = (WRITE,), **more: Any) -> Row:
    return Row(ok, rights, OWNS, **more)


def _scopes(held: frozenset[str]) -> dict[str, Any]:
    return {"scopes": [min(held, default=READ)], "label": "x"}


WEEK = "from=2030-01-08&to=2030-01-10"
SPAN = {"start": "2030-01-08T13:00:00Z", "end": "2030-01-08T14:00:00Z"}
WISH = {"package": "small", "sharing": "reserved", "spans": [SPAN]}
NOT_FREE = {"start": "2030-01-09T13:00:00Z", "end": "2030-01-09T14:00:00Z"}
SIZE = {"notebook": {"cores": 1, "memory_mib": 1}, "worker": {"cores": 0, "memory_mib": 0}}
HOLDING = {"span": {"start": "2032-01-01T00:00:00Z", "end": None}, "resources": {"cores": 1}, "reason": "x"}
WITH_RITA, WITH_EVE, WITH_GINA = (("account", "rita"),), (("account", "eve"),), (("account", "gina"),)
TINY = (("name", "tiny"),)
CARD = {"title": "new", "package": "small", "length": "PT1H"}
HAS_PASSWORD: Who = KNOWN - {Role.SERVICE}
NEW_PASSWORD = {"current": "correct horse battery", "new": "another password"}
LOGIN = {"name": "lena", "password": "correct horse battery"}

LEASE = {"starts_at": "2030-01-08T13:00:00Z", "ends_at": "2030-01-08T14:00:00Z", "cores": 1}
KNOWN_LEASE = LEASE | {"id": "lease-1"}

PROGRAMS: dict[tuple[str, str], Row] = {
    ("GET", "/healthz"): _public(),
    ("GET", "/readyz"): _public(),
    # Of this machine, as everybody in this world is; tests/metrics asks from elsewhere.
    ("GET", "/metrics"): _public(),
    ("GET", "/openapi.json"): _public(),
    ("POST", "/login"): _public(body=LOGIN),
    ("POST", "/accounts/try"): _public(201),
    ("GET", "/accounts/me"): Row(),
    ("PUT", "/accounts/me/password"): Row(204, (), HAS_PASSWORD, denied=422, body=NEW_PASSWORD),
    ("GET", "/accounts"): Row(200, (ACCOUNTS,), frozenset({Role.ADMIN, Role.PLAIN}), denied=403),
    ("POST", "/accounts"): _admin(201, body={"name": "new"}),
    ("GET", "/accounts/<account:account>"): Row(
        200, (ACCOUNTS,), frozenset({Role.ADMIN, Role.PLAIN}), denied=403, names=WITH_EVE
    ),
    ("PATCH", "/accounts/<account:account>"): _admin(body={"level": 3}, names=WITH_EVE),
    ("GET", "/tokens"): Row(),
    ("POST", "/tokens"): Row(201, body=_scopes),
    ("DELETE", "/tokens/<token>"): Row(204, (), OWNS),
    ("GET", "/feed"): Row(200, (), frozenset({Role.OWNER})),
    ("POST", "/feed"): Row(201, (READ,)),
    ("DELETE", "/feed"): Row(204, (), frozenset({Role.OWNER})),
    # Of nobody in particular: who knows the secret needs nothing else.
    ("GET", "/feed/<secret>.ics"): _public(shut=404),
    ("GET", "/groups"): Row(200, (READ,)),
    ("POST", "/groups"): Row(201, (WRITE,), KNOWN, forbidden=frozenset({Role.TRIAL}), body={"name": "new"}),
    ("GET", "/groups/<group>"): Row(200, (READ,), MEMBERS | {Role.ADMIN}),
    ("PUT", "/groups/<group>/members/<account>"): Row(
        200, (WRITE,), KEEPS, forbidden=MEMBERS - KEEPS, body={"role": "reader"}, names=WITH_EVE
    ),
    ("DELETE", "/groups/<group>/members/<account>"): Row(
        204, (WRITE,), KEEPS | {Role.READER}, forbidden=MEMBERS - KEEPS - {Role.READER}, names=WITH_RITA
    ),
    ("GET", "/levels"): Row(),
    ("PATCH", "/levels/<level:level>"): _admin(body={"limits": {}}),
    ("PUT", "/levels/<level:level>"): _admin(body={"limits": {}}),
    ("GET", "/journal"): _admin(),
    ("GET", "/usage"): Row(200, (READ,), query=WEEK),
    ("GET", "/usage/refused"): Row(200, (READ,), query=WEEK),
    ("GET", "/today"): _admin(),
    ("GET", "/availability"): _free(query=WEEK),
    ("GET", "/slots"): _free(query="package=small&duration=PT1H"),
    ("GET", "/packages"): _free(),
    ("GET", "/packages/<name>"): _free(names=TINY),
    ("POST", "/packages"): _admin(201, body=SIZE | {"name": "new"}),
    ("DELETE", "/packages/<name>"): _admin(204, names=TINY),
    ("GET", "/templates"): _free(),
    ("GET", "/templates/<template>"): _free(),
    ("POST", "/templates"): _admin(201, body=CARD),
    ("PATCH", "/templates/<template>"): _admin(body={"title": "other"}),
    ("DELETE", "/templates/<template>"): _admin(204),
    ("POST", "/templates/<template>/book"): Row(201, (WRITE,), KNOWN, forbidden=frozenset({Role.TRIAL})),
    ("GET", "/platforms"): _admin(),
    ("GET", "/platforms/<platform>"): _admin(),
    ("GET", "/platforms/<platform>/pledges"): _admin(),
    ("POST", "/platforms"): _admin(201, body={"name": "new"}),
    ("PATCH", "/platforms/<platform>"): _admin(body={"traits": ["gpu"]}),
    **{
        ("POST", f"/platforms/<platform>/inquiries/{act}"): Row(
            204, (STRANGERS,), frozenset({Role.ADMIN, Role.PLAIN}), denied=403, body={"context": {}} | more
        )
        for act, more in (
            ("check-create", {"lease": LEASE}),
            ("check-update", {"lease": {"cores": 2}, "current_lease": KNOWN_LEASE}),
            ("on-end", {"lease": KNOWN_LEASE}),
        )
    },
    ("GET", "/pools"): _free(),
    ("GET", "/pools/<pool>"): _free(),
    ("GET", "/pools/<pool>/timeline"): _free(query=WEEK),
    ("POST", "/pools"): _admin(201, body={"name": "new", "timezone": "UTC", "granularity": "hour"}),
    ("PATCH", "/pools/<pool>"): _admin(body={"name": "other"}),
    **{
        (method, f"/pools/<pool>/{noun}{rest}"): _admin(ok, body=body, names=(("row", noun),))
        for noun in ("inventory", "blackouts")
        for method, rest, ok, body in (
            ("GET", "", 200, None),
            ("POST", "", 201, HOLDING),
            ("PATCH", "/<row>", 200, {"reason": "y"}),
            ("DELETE", "/<row>", 409 if noun == "inventory" else 204, None),
        )
    },
    ("GET", "/bookings"): Row(200, (READ,)),
    ("POST", "/bookings"): Row(201, (WRITE,), KNOWN, forbidden=frozenset({Role.TRIAL}), body=WISH),
    ("GET", "/bookings/<booking>"): Row(200, (READ,), SEES),
    ("PATCH", "/bookings/<booking>"): _owned(200, body={"title": "y"}),
    ("DELETE", "/bookings/<booking>"): _owned(204),
    ("PATCH", "/bookings/<booking>/reservations/<reservation>"): _owned(
        200, body={"end": "2030-01-07T13:00:00Z"}
    ),
    ("POST", "/bookings/<booking>/confirm"): _owned(200, names=(("booking", "held"),)),
    ("PUT", "/bookings/<booking>/guests/<account>"): _owned(200, names=WITH_EVE),
    ("DELETE", "/bookings/<booking>/guests/<account>"): _owned(204, names=WITH_GINA),
    ("GET", "/bookings/<booking>/history"): Row(200, (READ,), SEES),
    ("GET", "/waitlist"): Row(200, (READ,)),
    ("POST", "/waitlist"): Row(
        201, (WRITE,), KNOWN, forbidden=frozenset({Role.TRIAL}), body=WISH | {"spans": [NOT_FREE]}
    ),
    ("DELETE", "/waitlist/<wanted>"): _owned(204),
    ("GET", "/bookings/<booking>/calendar.ics"): Row(200, (READ,), SEES),
}

FORM = {"package": "small", "sharing": "reserved", "from_date": "2030-01-08", "from_hour": "13:00"}
PEOPLE: dict[tuple[str, str], Row] = {
    ("GET", "/"): _public(),
    ("GET", "/static/<path:filename>"): _public(),
    ("GET", "/docs/api"): _public(),
    ("GET", "/login"): _public(303, nobody=200),
    ("POST", "/login"): _public(303, form=LOGIN),
    ("GET", "/logout"): _public(200, nobody=303),
    ("POST", "/logout"): _public(303),
    ("POST", "/try"): _public(303),
    ("GET", "/templates/<template>"): _public(),
    ("POST", "/templates/<template>/book"): Row(303, (WRITE,), KNOWN, forbidden=frozenset({Role.TRIAL})),
    ("GET", "/calendar"): _public(rights=(READ,)),
    ("GET", "/calendar/custom"): _public(
        rights=(READ,),
        query="package=custom&notebook_cores=1&notebook_memory_mib=512&worker_cores=0&worker_memory_mib=0"
        "&from_date=2030-01-08&from_hour=09:00&until_hour=10:00",
    ),
    ("GET", "/calendar/hours"): _public(rights=(READ,), query="from_date=2030-01-08"),
    ("GET", "/calendar.txt"): _public(rights=(READ,), strict=True),
    ("GET", "/calendar/review"): Row(
        200,
        (READ, WRITE),
        query="package=small&sharing=reserved&from_date=2030-01-08&from_hour=13:00&until_date=2030-01-08&until_hour=14:00",
    ),
    ("GET", "/usage"): Row(200, (READ,)),
    ("GET", "/bookings"): Row(200, (READ,)),
    ("POST", "/bookings"): Row(
        303,
        (WRITE,),
        KNOWN,
        forbidden=frozenset({Role.TRIAL}),
        form=FORM | {"span": "2030-01-08T13:00:00+00:00/2030-01-08T14:00:00+00:00"},
    ),
    ("GET", "/bookings/<booking_id>"): Row(200, (READ,), SEES),
    ("GET", "/bookings/<booking_id>/status"): Row(303, (READ,), SEES),
    ("GET", "/bookings/<booking_id>/open/<name>"): Row(303, (READ,), USES, names=(("name", "notebook"),)),
    ("GET", "/bookings/<booking_id>/cancel"): _owned(200, (READ,)),
    ("POST", "/bookings/<booking_id>/cancel"): _owned(303),
    ("POST", "/bookings/<booking_id>/confirm"): _owned(303, names=(("booking_id", "held"),)),
    ("POST", "/bookings/<booking_id>/end"): _owned(
        303, (WRITE, READ), form={"reservation": "<reservation>", "end": "2030-01-07T13:00:00+00:00"}
    ),
    ("POST", "/bookings/<booking_id>/guests"): _owned(303, form={"name": "eve"}),
    ("POST", "/bookings/<booking_id>/group"): _owned(303, form={"group": "lab"}),
    ("POST", "/bookings/<booking_id>/title"): _owned(303, form={"title": "y"}),
    ("POST", "/waitlist"): Row(
        303,
        (WRITE,),
        KNOWN,
        forbidden=frozenset({Role.TRIAL}),
        form=FORM | {"taken": "2030-01-09T13:00:00+00:00/2030-01-09T14:00:00+00:00"},
    ),
    ("POST", "/waitlist/<wanted_id>/withdraw"): _owned(303, names=(("wanted_id", "wanted"),)),
    ("GET", "/account"): Row(200, (READ,)),
    ("POST", "/account/password"): Row(303, (READ,), HAS_PASSWORD, denied=422, form=NEW_PASSWORD),
    ("POST", "/account/tokens"): Row(201, (READ,), form={"scope": READ, "label": "x"}),
    ("POST", "/account/tokens/<token>/revoke"): Row(303, (), OWNS),
    ("POST", "/account/feed"): Row(201, (READ,)),
    ("POST", "/account/groups"): Row(
        303, (WRITE,), KNOWN, forbidden=frozenset({Role.TRIAL}), form={"name": "new"}
    ),
    ("POST", "/account/groups/<group>/members"): Row(
        303, (WRITE,), KEEPS, forbidden=MEMBERS - KEEPS, form={"account": "eve", "role": "reader"}
    ),
    ("GET", "/admin/accounts"): _admin(),
    ("POST", "/admin/accounts"): _admin(303, form={"name": "new", "password": "long enough", "level": "1"}),
    ("POST", "/admin/accounts/<account>"): _admin(303, form={"act": "disable"}, names=WITH_EVE),
    ("GET", "/admin/levels"): _admin(303),
    ("POST", "/admin/levels"): _admin(303, form={"level": "3"}),
    ("POST", "/admin/levels/<int(max=1000):level>"): _admin(303, form={}),
    ("GET", "/admin/packages"): _admin(),
    ("POST", "/admin/packages"): _admin(
        303,
        form={
            "name": "new",
            "notebook_cores": "1",
            "notebook_memory_mib": "1",
            "worker_cores": "0",
            "worker_memory_mib": "0",
            "worker_count": "1",
        },
    ),
    ("POST", "/admin/packages/<name>/retire"): _admin(303, names=TINY),
    ("GET", "/admin/today"): _admin(),
    ("GET", "/admin/templates"): _admin(),
    ("POST", "/admin/templates"): _admin(303, form=CARD | {"shown": "1"}),
    ("POST", "/admin/templates/<template>"): _admin(303, form=CARD | {"shown": "1"}),
    ("POST", "/admin/templates/<template>/remove"): _admin(303),
    ("GET", "/admin/capacity"): _admin(),
    ("POST", "/admin/capacity"): _admin(
        303,
        form={
            "pool": "<pool>",
            "noun": "blackout",
            "step": "save",
            "from_date": "2032-01-01",
            "forever": "1",
            "cores": "1",
            "reason": "x",
        },
    ),
    ("POST", "/admin/pools"): _admin(303, form={"pool": "<pool>", "name": "other"}),
    ("GET", "/admin/journal"): _admin(),
}

_OUTSIDE = ("/healthz", "/readyz", "/metrics", "/feed/<secret>.ics")
TABLE: dict[tuple[str, str], Row] = {
    (method, path if path in _OUTSIDE else API + path): row for (method, path), row in PROGRAMS.items()
} | PEOPLE
"""Every route and method of the application."""


def is_api(path: str) -> bool:
    """Whether programs call it."""
    return path.startswith(API) or path in _OUTSIDE
