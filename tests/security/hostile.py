"""Puts every hostile text into every text field that programs may fill, and says where they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from marshmallow import Schema

from booking.api.schemas import (
    accounts,
    availability,
    bookings,
    common,
    packages,
    platforms,
    pools,
    templates,
)
from booking.api.schemas.fields import Strict, Text
from tests.security.payloads import HUGE, PAYLOADS, packs
from tests.security.table import LEASE, SIZE
from tests.security.world import CLOSED, World

MODULES = (accounts, availability, bookings, common, packages, platforms, pools, templates)


_CARD = ("title", "text", "notebook_url", "package", "pool")


def text_fields() -> set[str]:
    """Every field of a body that takes text, as `schema.field`."""
    return {
        f"{name}.{field_name}"
        for module in MODULES
        for name, schema in vars(module).items()
        if isinstance(schema, type) and issubclass(schema, Strict) and schema.__module__ == module.__name__
        for field_name, one in _fields(schema)
        if isinstance(one, Text) and not name.endswith("Query")
    }


def _fields(schema: type[Schema]) -> Iterator[tuple[str, Any]]:
    for name, one in schema().fields.items():
        yield name, getattr(one, "inner", one)


def _hour(number: int) -> dict[str, str]:
    day, hour = 10 + number // 12, 8 + number % 12
    return {"start": f"2030-01-{day:02}T{hour:02}:00:00Z", "end": f"2030-01-{day:02}T{hour + 1:02}:00:00Z"}


@dataclass
class Planted:
    """What was tried, and what was taken."""

    tried: int = 0
    taken: int = 0
    bookings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def plant(world: World, step: int = 1) -> Planted:
    """Send every text (or one of some) in every field, by the API; a field takes it or says 4xx."""
    root = world.token("root", "admin", "bookings:read", "bookings:write", "accounts:read")
    world.call(root, "PATCH", "/accounts/ada", {"level": 2})
    ada = world.token("ada", "bookings:read", "bookings:write")
    planted = Planted()
    for number, text in enumerate((*PAYLOADS[::step], HUGE)):
        for token, method, path, body in _calls(world, root, ada, text, number):
            headers = {"Authorization": f"Bearer {token}", "If-Match": "*"}
            answer = world.client.open(f"/api/v1{path}", method=method, json=body, headers=headers)
            planted.tried += 1
            planted.taken += answer.status_code < 300
            if answer.status_code >= 500:
                planted.faults.append(f"{method} {path} with {text[:60]!a}: {answer.status_code}")
    for number, text in enumerate(packs()):
        wish = {"package": "tiny", "sharing": "shared", "spans": [_hour(number)], "title": text}
        planted.bookings.append(world.call(ada, "POST", "/bookings", wish | {"group": "lab"})["id"])
    return planted


def _calls(world: World, root: str, ada: str, text: str, number: int) -> Iterator[tuple[str, str, str, Any]]:
    wish = {"package": "tiny", "sharing": "shared", "spans": [_hour(number)]}
    mine = f"/bookings/{world.things['held']}"
    holding = {
        "span": {"start": "2032-01-01T00:00:00Z", "end": "2032-01-02T00:00:00Z"},
        "resources": {"cores": 1},
    }
    pool = {"name": f"p{number}", "timezone": "UTC", "granularity": "hour"}
    row = f"/pools/main/inventory/{world.things['inventory']}"
    yield ada, "POST", "/bookings", wish | {"title": text}
    for name in ("package", "pool", "notebook_url", "group"):
        yield ada, "POST", "/bookings", wish | {name: text}
    for name in ("title", "package", "pool", "notebook_url", "group"):
        yield ada, "POST", "/waitlist", wish | {"spans": [CLOSED], name: text}
    for path in ("/bookings", "/waitlist"):
        yield ada, "POST", path, wish | {"sharing": "custom", "traits": [text]}
    yield ada, "PATCH", mine, {"title": text}
    yield ada, "PATCH", mine, {"group": text}
    yield ada, "PATCH", mine, {"notebook_url": text}
    yield ada, "PATCH", mine, {"reservations": [{"id": text, "end": "2030-01-08T13:00:00Z"}]}
    yield ada, "POST", "/tokens", {"scopes": ["bookings:read"], "label": text}
    yield ada, "POST", "/tokens", {"scopes": ["bookings:read"], "account": text}
    yield ada, "POST", "/groups", {"name": text}
    yield ada, "POST", "/login", {"name": text, "password": text}
    yield ada, "PUT", "/accounts/me/password", {"current": text, "new": text}
    yield root, "POST", "/accounts", {"name": text}
    yield root, "POST", "/accounts", {"name": f"n{number}", "password": text}
    yield root, "PATCH", "/accounts/eve", {"password": text}
    yield root, "PATCH", "/accounts/eve", {"limits": {text: 1}}
    yield root, "PATCH", "/levels/7", {"limits": {"packages": [text]}}
    yield root, "PUT", "/levels/7", {"limits": {text: 1}}
    yield root, "POST", "/pools", pool | {"name": text}
    yield root, "POST", "/pools", pool | {"timezone": text}
    yield root, "POST", "/pools", pool | {"platform": text, "traits": [text]}
    yield root, "PATCH", f"/pools/{world.things['pool']}", {"traits": [text]}
    yield root, "PATCH", f"/pools/{world.things['pool']}", {"name": text}
    for name, value in (
        ("name", text),
        ("traits", [text]),
        ("provisioner", text),
        ("settings", {text: text}),
    ):
        yield root, "POST", "/platforms", {"name": f"c{number}", name: value}
        if name != "name":
            yield root, "PATCH", f"/platforms/{world.things['platform']}", {name: value}
    for name in ("id", "owner", "name", "starts_at"):
        asked = {"context": {text: text}, "lease": LEASE | {name: text}}
        yield root, "POST", f"/platforms/{world.things['platform']}/inquiries/check-create", asked
    yield root, "POST", f"/pools/{world.things['pool']}/inventory", holding | {"reason": text}
    yield root, "PATCH", row.replace("/main/", f"/{world.things['pool']}/"), {"reason": text}
    yield root, "POST", "/packages", SIZE | {"name": text}
    card = {"title": "card", "package": "tiny", "length": "PT1H", "sharing": "shared"}
    for name in _CARD:
        yield root, "POST", "/templates", card | {name: text}
        yield root, "PATCH", f"/templates/{world.things['template']}", {name: text}


COVERED = {
    "BookingIn.package",
    "BookingIn.pool",
    "BookingIn.title",
    "BookingIn.notebook_url",
    "BookingIn.group",
    "BookingIn.traits",
    "BookingChangeIn.title",
    "BookingChangeIn.group",
    "WishIn.package",
    "WishIn.pool",
    "WishIn.title",
    "WishIn.notebook_url",
    "WishIn.group",
    "WishIn.traits",
    "BookingChangeIn.notebook_url",
    "EndIn.id",
    "TokenIn.label",
    "TokenIn.account",
    "GroupIn.name",
    "LoginIn.name",
    "LoginIn.password",
    "PasswordIn.current",
    "PasswordIn.new",
    "AccountIn.name",
    "AccountIn.password",
    "AccountChangeIn.password",
    "PoolIn.name",
    "PoolIn.platform",
    "PoolIn.traits",
    "PoolIn.timezone",
    "PlatformIn.name",
    *(
        f"{schema}.{name}"
        for schema in ("PlatformIn", "PlatformChangeIn")
        for name in ("traits", "provisioner")
    ),
    "PoolChangeIn.name",
    "PoolChangeIn.traits",
    "HoldingIn.reason",
    "HoldingChangeIn.reason",
    "PackageIn.name",
    *(f"{schema}.{name}" for schema in ("TemplateIn", "TemplateChangeIn") for name in _CARD),
}
"""The fields of :func:`_calls`; the names of limits and the texts in addresses come on top."""


def pages(world: World, planted: Planted, some: int) -> dict[str, list[str]]:
    """The pages that show them, by who looks; of the detail pages only some."""
    details = [f"/bookings/{booking}" for booking in planted.bookings[:some]]
    held = f"/bookings/{world.things['held']}"
    echoes = [
        f"/calendar?{urlencode({'pool': text, 'package': text, 'trait': text})}" for text in packs()[:some]
    ]
    journal = [f"/admin/journal?{urlencode({'account': t, 'action': t})}" for t in packs()[:some]]
    review = "/calendar/review?" + urlencode(
        {
            "package": "tiny",
            "sharing": "shared",
            "from_date": "2030-01-20",
            "title": packs()[0],
            "group": packs()[1],
        }
    )
    calendars = [f"/calendar?start=2030-01-{day:02}" for day in (7, 14)]
    ada = [
        "/bookings",
        *calendars,
        "/calendar?view=hours&start=2030-01-07",
        "/account",
        held,
        *details,
        review,
    ]
    asked = [
        "/bookings?whose=all",
        "/admin/accounts",
        "/admin/packages",
        "/admin/templates",
        "/admin/today",
        "/admin/capacity",
        "/admin/journal",
    ]
    nowhere = [f"/{quote(text)}" for text in packs()[:some]]
    return {
        "ada": [*ada, *echoes],
        "root": [*asked, *journal],
        "": ["/", *calendars[:1], *nowhere, "/login?next=%2F%22%3E"],
    }
