"""Every page and every list of the application, asked as people and programs ask, and what each sends to the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event
from werkzeug.test import TestResponse

from booking import create_app
from booking.allocator.package import Package
from booking.allocator.package import Size as Cores
from booking.app import context_of
from booking.config import Settings
from booking.doors import Db, Doors, open_engine
from booking.identity import SHELF_BYTES
from booking.services import packages
from booking.services.context import Context
from booking.services.shelf import Shelf
from tests.security.table import API, TABLE
from tests.speed.crowd import ADMIN, PERSON, Size, fill, secret
from tests.support.doors import SequenceIds, TestClock
from tests.support.site import ROOT

NAMES = {
    "account:account": PERSON,
    "account": PERSON,
    "group": "group-0",
    "level:level": "3",
    "name": "small",
    "platform": "cloud",
    "pool": "pool-000",
    "row": "inventory-0",
    "template": "template-0",
    "booking": "booking-0",
    "booking_id": "booking-0",
    "path:filename": "app.css",
    "secret": secret(PERSON),
}
"""What the names in an address stand for in a crowd."""
_WEEKS = "from=2030-01-01&to=2030-02-01&granularity=week"
MORE = {
    f"{API}/bookings": ("account=*", "shared=true", "state=confirmed", "from=2030-01-01", "limit=2"),
    f"{API}/waitlist": ("account=*", "state=gone"),
    f"{API}/journal": ("account=ada", "action=booking", "subject=booking:booking-1", "from=2029-01-01"),
    f"{API}/usage": tuple(f"{_WEEKS}&by={by}" for by in ("package", "account", "group")),
    f"{API}/availability": ("from=2030-01-08&to=2030-03-19&pool=pool-001", "from=2028-01-08&to=2028-03-01"),
    f"{API}/templates": ("hidden=true",),
    f"{API}/today": ("pool=pool-000", "day=2029-12-01"),
    "/bookings": ("whose=shared", "whose=all"),
    "/calendar": ("view=day", "view=hours", "view=month", "view=10w", "pool=pool-001"),
    "/usage": ("by=account", "by=group"),
    "/admin/journal": ("account=ada", "action=booking"),
}
"""What else a list is asked for, besides what its row of the table of access says."""


@dataclass(frozen=True)
class Asking:
    """One thing to ask for: the route and query by which it is told, and the address in a crowd."""

    name: str
    path: str

    def __str__(self) -> str:
        return self.name


def askings() -> list[Asking]:
    """Every route that only reads, as the table of access knows them: a new one is asked, too."""
    found = []
    for (method, rule), row in TABLE.items():
        if method != "GET":
            continue
        path = rule
        names = NAMES | ({"row": "blackout-0"} if "blackouts" in rule else {})
        for name, value in names.items():
            path = path.replace(f"<{name}>", value)
        assert "<" not in path, f"tests/speed/asking.py does not know what stands for a name in {rule}"
        queries = [f"?{query}" if query else "" for query in (row.query, *MORE.get(rule, ()))]
        found += [Asking(rule + query, path + query) for query in queries]
    return found


@dataclass(frozen=True)
class Statement:
    """A statement as the driver got it."""

    text: str
    parameters: Any


class Crowded:
    """An application over a crowd, and an eye on what it sends to its database."""

    def __init__(self, app: Flask, engine: Engine) -> None:
        self.app, self.engine = app, engine
        self.sent: list[Statement] = []
        event.listen(engine, "before_cursor_execute", self._note)

    @property
    def ctx(self) -> Context:
        return context_of(self.app)

    def _note(self, _c: object, _cursor: object, text: str, parameters: Any, _x: object, many: bool) -> None:
        if not text.startswith(("BEGIN", "PRAGMA", "EXPLAIN", "SET ")):
            self.sent.append(Statement(text, parameters[0] if many else parameters))

    def ask(self, path: str, who: str | None = ADMIN) -> TestResponse:
        """Ask once, as somebody or as nobody in particular."""
        headers = {} if who is None else {"Authorization": f"Bearer {secret(who)}"}
        response = self.app.test_client(use_cookies=False).get(path, headers=headers)
        body = response.get_data(as_text=True)
        response.close()
        assert response.status_code != 500, (path, body[:500])
        return response

    def statements(self, path: str, who: str | None = ADMIN) -> list[Statement]:
        """What one answer needs that is not on the shelf, by a process that has answered before."""
        self.ask(path, who)
        self.app.extensions["booking.shelf"] = Shelf(SHELF_BYTES)
        self.sent.clear()
        self.ask(path, who)
        return list(self.sent)


@contextmanager
def crowded(url: str, folder: Path, size: Size) -> Iterator[Crowded]:
    """The application over a migrated database, which is filled."""
    engine, clock = open_engine(url), TestClock()
    settings = Settings(home=folder / "home", provisioner="null", secret_key="s" * 32)
    app = create_app(settings, Doors(clock, SequenceIds(), Db(engine, clock)))
    for number, name in enumerate(("small", "medium", "large"), start=1):
        packages.publish(context_of(app), ROOT, Package(name, 0, Cores(number, 1024), Cores(0, 0)))
    fill(context_of(app), size)
    try:
        yield Crowded(app, engine)
    finally:
        engine.dispose()
