"""A site that is really served, and Chromium to look at it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from booking import create_app
from booking.config import Settings
from booking.doors import Doors, SystemIds
from booking.services import accounts
from tests.support import browser
from tests.support.pages import PASSWORD, PageSite, make_page_site
from tests.support.served import served

_PATIENCE = 15_000
"""Milliseconds that an act, or what is expected, may take: this machine does other things too."""
expect.set_options(timeout=_PATIENCE)
_WATCH = """document.addEventListener('securitypolicyviolation', (event) =>
    console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`))"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser; one worker keeps it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of the machine."""
    with browser.chromium() as found:
        yield found


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database is enough here."""
    return sqlite_url


@pytest.fixture
def ids() -> SystemIds:
    """Real ids: trial accounts are named after the first letters of theirs."""
    return SystemIds()


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", quick)
    accounts._nobodys_hash.cache_clear()


@pytest.fixture
def app(doors: Doors, tmp_path: Path) -> Flask:
    """The application over the database of the test."""
    settings = Settings(home=tmp_path / "home", provisioner="null", secret_key="s" * 32)
    return create_app(settings, doors)


@pytest.fixture
def site(app: Flask) -> PageSite:
    """The same site as the stories without a script have."""
    return make_page_site(app)


@pytest.fixture
def url(site: PageSite) -> Iterator[str]:
    """Where it is served."""
    with served(site.app) as address:
        yield address


@dataclass
class Visitor:
    """Somebody at a browser, with what went wrong in it."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, name: str) -> Visitor:
        page = self.go("/login")
        page.fill("#name", name)
        page.fill("#password", PASSWORD)
        page.click("main button.primary")
        page.wait_for_url("**/calendar")
        return self

    def asked(self, part: str) -> int:
        """How many requests went to addresses with that part."""
        return sum(part in address for address in self.requests)


Open = Callable[..., Visitor]


@pytest.fixture
def visit(chromium: Browser, url: str) -> Iterator[Open]:
    """Open a browser window of its own; what it logs as a fault fails the test."""
    visitors: list[Visitor] = []
    with ExitStack() as stack:

        def open_window(name: str | None = None, **options: Any) -> Visitor:
            context: BrowserContext = chromium.new_context(**({"locale": "en-GB"} | options))
            stack.callback(context.close)
            context.set_default_timeout(_PATIENCE)
            if options.get("java_script_enabled", True):
                context.add_init_script(_WATCH)
            visitor = Visitor(context.new_page(), url)
            visitor.page.on("console", lambda message: _note(visitor, message))
            visitor.page.on("pageerror", lambda error: visitor.faults.append(str(error)))
            visitor.page.on("request", lambda request: _asked(visitor, request))
            visitors.append(visitor)
            return visitor.sign_in(name) if name else visitor

        yield open_window
        assert [fault for visitor in visitors for fault in visitor.faults] == []


def _note(visitor: Visitor, message: ConsoleMessage) -> None:
    # What the server refuses is an answer, and Chromium logs it as if it were a fault.
    if message.type in ("error", "warning") and "status of 4" not in message.text:
        visitor.faults.append(message.text)


def _asked(visitor: Visitor, request: Request) -> None:
    visitor.requests.append(request.url)
