"""Classes about coming in, about what a browser is made to do, and about the outside."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from sqlalchemy import func, select

from booking import identity
from booking.api import guard
from booking.api.schemas import bookings as schemas
from booking.errors import Unauthenticated
from booking.models import Account
from booking.pages import entry
from booking.pages.calendar import form as calendar_form
from booking.services import accounts, bookings, calendars, listing
from tests.security.classes import Weakness, absent, bearer, nothing, replaced, route, together, yes
from tests.security.table import WISH
from tests.security.world import PASSWORD, SECRET_TITLE, World

WRITE = ("bookings:read", "bookings:write")
LONGEST_LINE = 4096


def names_that_look_alike(world: World) -> list[str]:
    """The password of one account with names that differ in case, width, or what is not seen."""
    alike = (
        "ADA",
        "Ada",
        "ada\u200b",
        "\u202eada",
        "ａｄａ",
        "аda",
        "ada\u0301",
        "ada\u00ad",
        "ada@example.org",
    )
    found = []
    for name in alike:
        answer = world.client.post("/api/v1/login", json={"name": name, "password": PASSWORD})
        if answer.status_code == 200:
            found.append(name)
    document = world.client.get("/api/v1/openapi.json").get_json()
    return found + [name for name in ("email", "mail") if f'"{name}"' in json.dumps(document)]


def _by_name_whatever_the_case(session: Any, name: str) -> Account | None:
    found: Account | None = session.scalar(select(Account).where(func.lower(Account.name) == name.lower()))
    return found


def forged_requests(world: World) -> list[str]:
    """Changes with somebody's cookie, from elsewhere: with no proof, another's proof, a made-up one."""
    ada, eve = world.sign_in("ada"), world.sign_in("eve")
    page = f"/bookings/{world.things['booking']}/title"
    found = []
    for csrf in ("", eve.csrf, "x" * len(ada.csrf), ada.csrf[:-1]):
        for site, mode in (("cross-site", "navigate"), ("same-site", "no-cors"), ("none", "cors")):
            headers = {"Cookie": ada.cookie, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "If-Match": "*"}
            headers["Origin"] = "https://evil.example"
            proof = {"csrf_token": csrf} if csrf else {}
            calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
                ("POST", page, {"data": {"title": "x"} | proof}),
                ("PATCH", f"/api/v1{page.removesuffix('/title')}", {"json": {"title": "x"}}),
                ("DELETE", f"/api/v1{page.removesuffix('/title')}", {}),
            )
            more = {"X-CSRFToken": csrf} if csrf else {}
            for method, path, body in calls:
                answer = world.client.open(path, method=method, headers=headers | more, **body)
                if answer.status_code < 400:
                    found.append(f"{method} {path} from {site}")
    return found


def elsewhere() -> Iterator[str]:
    """Addresses of other sites, written as to be taken for our own."""
    host = "evil.example"
    begins: tuple[str, ...] = (
        "//",
        "/\\",
        "\\\\",
        "///",
        "/%09/",
        "/\t/",
        "/\n/",
        "/\r/",
        "/ /",
        "/./\\",
        "/..//",
        "http:",
        "https:",
    )
    begins += (
        "https://",
        "http://",
        "HTTPS://",
        "javascript:",
        "data:text/html,",
        "ftp://",
        "//user@",
        "/\\/",
        "\t//",
    )
    begins += (
        "%2f%2f",
        "/%2f",
        "/%5c",
        "\x00//",
        "//[::1]@",
        "///\\",
        "/;//",
        "https:/",
        "/\x0b/",
        "/\u2028/",
        "／／",
    )
    for begin in begins:
        for end in (
            host,
            f"{host}/calendar",
            f"{host}%2fcalendar",
            f"xn--e1afmkfd.{host}",
            f"calendar@{host}",
            f"{host}?/",
        ):
            yield begin + end


def other_sites(world: World) -> list[str]:
    """After signing in, each of them as the address to go on to."""
    ada = world.sign_in("ada")
    found = []
    for address in elsewhere():
        answer = world.client.get(f"/login?next={quote(address)}", headers={"Cookie": ada.cookie})
        location = answer.headers.get("Location", "")
        as_browsers = location.translate({9: None, 10: None, 13: None}).replace("\\", "/")
        parts = urlsplit(urljoin("http://localhost/login", as_browsers))
        if (parts.scheme, parts.netloc) != ("http", "localhost"):
            found.append(address)
    return found


def markup_that_is_kept(world: World) -> list[str]:
    """A title, a label and a reason that are markup, on every page that shows them."""
    bad, template = "<img src=x onerror=alert(1)>", "{{7*'7'}}"
    ada = world.token("ada", *WRITE)
    made = world.call(ada, "POST", "/bookings", WISH | {"title": bad + template})
    world.call(ada, "POST", "/tokens", {"scopes": ["bookings:read"], "label": bad + template})
    browser = world.sign_in("ada")
    found = []
    for path in (f"/bookings/{made['id']}", "/bookings", "/calendar?start=2030-01-08", "/account"):
        text = world.client.get(path, headers={"Cookie": browser.cookie}).get_data(as_text=True)
        found += [path for word in (bad, "7777777") if word in text]
    return found


@contextmanager
def _without_escaping(world: World) -> Iterator[None]:
    pages = world.app.jinja_env
    assert pages.cache is not None
    escapes, pages.autoescape = pages.autoescape, False
    pages.cache.clear()
    try:
        yield
    finally:
        pages.autoescape = escapes
        pages.cache.clear()


def strange_addresses(world: World) -> list[str]:
    """Addresses of a notebook that no browser should be led to; nothing here opens any, and the form is as strict as the API."""
    bad = (
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "gopher://x",
        "//evil.example",
        "ftp://x/",
    )
    ada, browser, found = world.token("ada", *WRITE), world.sign_in("ada"), []
    form = {
        "package": "small",
        "sharing": "reserved",
        "span": "2030-01-08T13:00:00+00:00/2030-01-08T14:00:00+00:00",
    }
    for address in bad:
        by_api = world.client.post(
            "/api/v1/bookings", json=WISH | {"notebook_url": address}, headers=bearer(ada)
        )
        data = form | {"notebook_url": address, "csrf_token": browser.csrf}
        by_form = world.client.post("/bookings", data=data, headers={"Cookie": browser.cookie})
        found += [address for answer in (by_api, by_form) if answer.status_code < 400]
    return found


def titles_of_others(world: World) -> list[str]:
    """What those who have nothing to do with a booking can read, their own feed too: never its title."""
    eve, found = world.sign_in("eve"), []
    feed = urlsplit(world.call(world.token("eve", "bookings:read"), "POST", "/feed")["url"]).path
    answer = world.client.get(feed)
    if answer.status_code != 200 or SECRET_TITLE in answer.get_data(as_text=True):
        found.append("/feed of somebody else")
    if world.client.get(f"{feed[:-8]}xxxx.ics").status_code != 404:
        found.append("/feed without its secret")
    paths = ("/calendar?start=2030-01-07", "/calendar?view=hours", "/calendar.txt", "/bookings", "/")
    found += [
        path
        for path in paths
        for cookie in ("", eve.cookie)
        if SECRET_TITLE in world.client.get(path, headers={"Cookie": cookie}).get_data(as_text=True)
    ]
    return found


_own_entries = calendars._entries


def _everybodys(session: Any, *conditions: Any) -> Any:
    """In place of what is one's own."""
    return _own_entries(session, *conditions[1:])


def accounts_that_are_told(world: World) -> list[str]:
    """The answers to a wrong password of somebody who is there and of somebody who is not, but for the request's id."""
    seen = []
    for name in ("ada", "root", "nobody-of-that-name"):
        answer = world.client.post("/api/v1/login", json={"name": name, "password": "a wrong one"})
        body = {key: value for key, value in answer.get_json().items() if key != "request_id"}
        seen.append((answer.status_code, body, len(answer.headers)))
    return [] if seen.count(seen[0]) == len(seen) else [str(entry) for entry in seen]


def _telling(ctx: Any, name: str, password: str) -> Account:
    if ctx.db.read("name", lambda session: accounts._by_name(session, name)) is None:
        raise Unauthenticated("There is no such account.")
    raise Unauthenticated("The password is not right.")


def long_lines(world: World) -> list[str]:
    """Names and addresses of a megabyte and more, with line breaks in them: the lines of the log."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("booking")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        world.client.post("/api/v1/login", json={"name": "x" * 10**7, "password": "x"})
        world.client.post("/api/v1/login", json={"name": "x\r\nroot signed in", "password": "x"})
        for name in ("x" * 10**6, "\U0001f600" * 10**5, "a%0d%0aroot signed in"):
            world.client.get(f"/api/v1/pools/{quote(name, safe='%')}")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert lines
    return [line[:80] for line in lines if len(line.encode()) > LONGEST_LINE or "\n" in line or "\r" in line]


def replays(world: World) -> list[str]:
    """One key sent many times is one booking, and a hold is confirmed once."""
    ada, before = world.token("ada", *WRITE), world.count("booking")
    for _ in range(5):
        world.call(ada, "POST", "/bookings", WISH, **{"Idempotency-Key": "the same"})
    more = world.count("booking") - before
    return absent("totp", "magic", "reset", "verify")(world) + ([f"{more} bookings"] if more != 1 else [])


def open_clusters(world: World) -> list[str]:
    """Those who may not use a booking ask for its door and its tokens."""
    found = absent("proxy")(world)
    booking = world.things["booking"]
    for name in ("eve", "root"):
        headers = {"Cookie": world.sign_in(name).cookie}
        if world.client.get(f"/bookings/{booking}/open/notebook", headers=headers).status_code < 400:
            found.append(f"the door for {name}")
        shown = world.client.get(f"/api/v1/bookings/{booking}", headers=headers).get_data(as_text=True)
        if '"token"' in shown:
            found.append(f"the token for {name}")
    return found


def words_that_reach_programs(world: World) -> list[str]:
    """What the outside is told of a booking: ids and sizes, never what somebody typed; and nothing is exported."""
    records = world.app.extensions["booking.provisioner"]()._outside
    told = json.dumps({name: records.read(name) for name in records.names()}, default=str)
    found = absent(".csv", "export", ".xls", ".tex", ".pdf")(world)
    return found + ([SECRET_TITLE] if SECRET_TITLE in told else [])


_book = bookings.book


def _without_key(ctx: Any, actor: Any, wanted: Any, render: Any, _key: Any = None) -> Any:
    return _book(ctx, actor, replace(wanted, title="again"), render, None)


CLASSES = (
    Weakness(
        4,
        "names that look alike",
        names_that_look_alike,
        replaced(accounts, "_by_name", _by_name_whatever_the_case),
    ),
    Weakness(6, "provisioning by SCIM", absent("scim"), route("/scim/v2/Users"), surface=False),
    Weakness(9, "forged requests", forged_requests, replaced(identity.csrf, "protect", nothing)),
    Weakness(
        10,
        "redirects to other sites",
        other_sites,
        replaced(entry, "within_site", lambda url, default: url or default),
    ),
    Weakness(11, "markup that is kept", markup_that_is_kept, _without_escaping),
    Weakness(
        12,
        "addresses that users give",
        strange_addresses,
        together(replaced(calendar_form, "ADDRESS", ".*"), replaced(schemas, "ADDRESS", ".*")),
    ),
    Weakness(
        13, "calendars that tell too much", titles_of_others, replaced(calendars, "_entries", _everybodys)
    ),
    Weakness(
        14, "accounts that are told", accounts_that_are_told, replaced(accounts, "by_password", _telling)
    ),
    Weakness(15, "floods of the log", long_lines, replaced(guard, "_LONGEST_PATH", 10**7)),
    Weakness(16, "what is good once", replays, replaced(bookings, "book", _without_key)),
    Weakness(
        18,
        "doors of clusters",
        open_clusters,
        together(replaced(bookings, "may_use", yes), replaced(listing, "may_use", yes)),
    ),
    Weakness(
        21,
        "words that reach programs",
        words_that_reach_programs,
        route("/api/v1/bookings/export.csv"),
        surface=False,
    ),
)
