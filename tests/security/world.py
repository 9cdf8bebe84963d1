"""A site with one of everything and somebody of every role, put back as it was after each change."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from booking import create_app, migrate
from booking.app import context_of
from booking.config import Settings
from booking.doors import Db, Doors, open_engine
from booking.models import AccountKind
from booking.scheduler import Scheduler
from booking.services import accounts, tokens
from booking.services.accounts import NewAccount
from booking.services.context import Context
from tests.security.table import KNOWN_LEASE
from tests.support.doors import START, SequenceIds, TestClock

PASSWORD = "correct horse battery"
SECRET_TITLE = "the-title-that-is-nobody-elses"
UNLIMITED = "1000000 per minute"
CURRENT = {"start": "2030-01-07T09:00:00Z", "end": "2030-01-07T12:00:00Z"}
CLOSED = {"start": "2030-01-09T00:00:00Z", "end": "2030-01-10T00:00:00Z"}
LATER = {"start": "2030-01-08T09:00:00Z", "end": "2030-01-08T12:00:00Z"}
PEOPLE = ("ada", "eve", "gina", "rita", "walt", "gwen", "lena")


class ScatteredIds(SequenceIds):
    """Ids that differ from the first letter on, as drawn ones do."""

    def new(self) -> str:
        return super().new()[::-1]


@dataclass
class World:
    """The application, its database file, and the ids of the things in it."""

    app: Flask
    file: Path
    clock: TestClock
    things: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, sqlite3.Connection] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        return context_of(self.app)

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client(use_cookies=False)

    def call(self, token: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A call of the API that must succeed; what it answers."""
        response = self.client.open(
            f"/api/v1{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {token}", **headers},
        )
        assert response.status_code < 300, (method, path, response.get_data(as_text=True))
        return response.get_json() if response.data else None

    def token(self, name: str, *scopes: str, life: timedelta = timedelta(days=30)) -> str:
        """A token of an account with these scopes."""
        return tokens.make(self.ctx, None, name, scopes, "of the test", life).secret

    def sign_in(self, name: str) -> Browser:
        """A session of an account, begun at the form."""
        visitor = self.visit("/login")
        form = {"name": name, "password": PASSWORD, "csrf_token": visitor.csrf}
        response = self.client.post("/login", data=form, headers={"Cookie": visitor.cookie})
        assert response.status_code == 303, response.get_data(as_text=True)
        return self.visit("/account", cookie_of(response))

    def try_it(self) -> Browser:
        """A session of a visitor who gave it a try."""
        visitor = self.visit("/login")
        form = {"csrf_token": visitor.csrf}
        return self.visit(
            "/account", cookie_of(self.client.post("/try", data=form, headers={"Cookie": visitor.cookie}))
        )

    def visit(self, path: str, cookie: str = "") -> Browser:
        """Look at a page with a form: its cookie, and the proof that its forms carry."""
        response = self.client.get(path, headers={"Cookie": cookie} if cookie else {})
        found = re.search(r'name="csrf_token" value="([^"]+)"', response.get_data(as_text=True))
        assert found, (path, response.status_code)
        return Browser(cookie_of(response) or cookie, found[1])

    def keep(self, name: str) -> None:
        """Remember the database as it is now."""
        self.snapshots[name] = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self.file)) as live:
            live.backup(self.snapshots[name])

    def put_back(self, name: str) -> None:
        """Make the database what it was."""
        with closing(sqlite3.connect(self.file)) as live:
            self.snapshots[name].backup(live)
        for pool_id, _ in list(self.ctx.timelines._states):
            self.ctx.timelines.drop(pool_id)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with closing(sqlite3.connect(self.file)) as live:
            return int(live.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def execute(self, statement: str, *values: Any) -> None:
        """Change the database behind the back of the application."""
        with closing(sqlite3.connect(self.file)) as live, live:
            live.execute(statement, values)


@dataclass(frozen=True)
class Browser:
    """What a browser holds: its cookie, and the proof of the forms it was given."""

    cookie: str
    csrf: str


def cookie_of(response: TestResponse) -> str:
    """The session cookie that a response sets, as the browser would send it back."""
    given = [value for value in response.headers.getlist("Set-Cookie") if value.startswith("session=")]
    return given[-1].partition(";")[0] if given else ""


@contextmanager
def quick_passwords() -> Iterator[None]:
    """Passwords are hashed as in the product, with the least effort."""
    before = accounts._hasher
    accounts._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts._nobodys_hash.cache_clear()
    try:
        yield
    finally:
        accounts._hasher = before
        accounts._nobodys_hash.cache_clear()


@contextmanager
def bare_world(folder: Path, **settings: Any) -> Iterator[World]:
    """The application over a database of its own, with nobody in it."""
    file = folder / "booking.sqlite"
    engine = open_engine(f"sqlite:///{file}")
    migrate.upgrade(engine)
    clock = TestClock()
    wanted = dict.fromkeys(("login_limit", "try_limit", "feed_limit"), UNLIMITED) | settings
    try:
        with quick_passwords():
            app = create_app(
                Settings(home=folder / "home", provisioner="null", secret_key="s" * 32, **wanted),
                Doors(clock, ScatteredIds(), Db(engine, clock)),
            )
            yield World(app, file, clock)
    finally:
        engine.dispose()


@contextmanager
def open_world(folder: Path, **settings: Any) -> Iterator[World]:
    """A world with a pool, packages, people, a group, and a booking that runs."""
    with bare_world(folder, **settings) as world:
        _furnish(world)
        yield world
        for snapshot in world.snapshots.values():
            snapshot.close()


def _furnish(world: World) -> None:
    for name in PEOPLE:
        accounts.create(world.ctx, None, NewAccount(name, PASSWORD, 1))
    accounts.create(world.ctx, None, NewAccount("root", PASSWORD, 2, is_admin=True))
    accounts.create(world.ctx, None, NewAccount("bot", None, 2, kind=AccountKind.SERVICE))
    root = world.token("root", "admin")
    pool = world.call(root, "POST", "/pools", {"name": "main", "timezone": "UTC", "granularity": "hour"})
    holding = {
        "span": {"start": "2029-01-01T00:00:00Z", "end": None},
        "resources": {"cores": 16, "memory_mib": 65536},
        "reason": "bought",
    }
    world.things["inventory"] = world.call(root, "POST", "/pools/main/inventory", holding)["id"]
    later = holding | {
        "span": {"start": "2031-01-01T00:00:00Z", "end": None},
        "resources": {"cores": 1, "memory_mib": 1},
    }
    world.things["blackouts"] = world.call(root, "POST", "/pools/main/blackouts", later)["id"]
    world.call(root, "POST", "/pools/main/blackouts", holding | {"span": CLOSED, "reason": "repair"})
    for name, cores in (("tiny", 1), ("small", 2)):
        size = {
            "name": name,
            "notebook": {"cores": 1, "memory_mib": 1024},
            "worker": {"cores": cores - 1, "memory_mib": 1024 * (cores - 1)},
        }
        world.call(root, "POST", "/packages", size)
    card = {"title": "curves", "package": "small", "length": "PT1H"}
    world.things["template"] = world.call(root, "POST", "/templates", card)["id"]
    pledging = {"name": "cloud", "provisioner": "null", "settings": {"pledges": True}}
    cloud = world.call(root, "POST", "/platforms", pledging)
    far = {"name": "far", "timezone": "UTC", "granularity": "hour", "platform": "cloud"}
    world.call(root, "POST", "/pools", far)
    owned = {
        "span": {"start": "2030-01-01T00:00:00Z", "end": None},
        "resources": {"cores": 99},
        "reason": "x",
    }
    world.call(root, "POST", "/pools/far/inventory", owned)
    inquiry = {"context": {}, "lease": KNOWN_LEASE}
    world.call(root, "POST", "/platforms/cloud/inquiries/check-create", inquiry)
    world.things |= {
        "platform": cloud["id"],
        "pool": pool["id"],
        "group": "lab",
        "level": "1",
        "filename": "app.css",
    }
    world.things["eve"] = world.call(root, "GET", "/accounts/eve")["id"]
    _share(world, root)


def _share(world: World, root: str) -> None:
    """A group, and two bookings of it: one that runs, and one that is held."""
    gwen, ada = world.token("gwen", "bookings:write"), world.token("ada", "bookings:read", "bookings:write")
    world.call(gwen, "POST", "/groups", {"name": "lab"})
    for name, role in (("rita", "reader"), ("walt", "writer"), ("ada", "writer")):
        world.call(gwen, "PUT", f"/groups/lab/members/{name}", {"role": role})
    wish = {"package": "small", "sharing": "reserved", "title": SECRET_TITLE, "group": "lab"}
    running = world.call(ada, "POST", "/bookings", wish | {"spans": [CURRENT]})
    held = world.call(ada, "POST", "/bookings", wish | {"spans": [LATER], "hold": True})
    (wanted,) = world.call(ada, "POST", "/waitlist", wish | {"spans": [CLOSED]})["items"]
    for made in (running, held):
        world.call(ada, "PUT", f"/bookings/{made['id']}/guests/gina")
    world.things |= {
        "booking": running["id"],
        "reservation": running["reservations"][0]["id"],
        "held": held["id"],
        "wanted": wanted["id"],
    }
    scheduler = Scheduler(world.ctx, world.app.extensions["booking.provisioner"](), "test")
    for _ in range(3):
        assert scheduler.tick()
        world.clock.advance(timedelta(seconds=1))
    shown = world.call(root, "GET", f"/bookings/{running['id']}")
    assert shown["state"] == "active", shown
    assert world.clock.now() - START < timedelta(minutes=1)
    spare = world.call(ada, "POST", "/tokens", {"scopes": ["bookings:read"], "label": "spare"})
    world.things["token"] = spare["id"]
    feed = world.call(ada, "POST", "/feed")["url"]
    world.things["secret"] = feed.rpartition("/")[2].removesuffix(".ics")
