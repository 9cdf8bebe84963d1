"""A site with its pages, and people who read them without a script."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask

from booking import create_app
from booking.config import Settings
from booking.doors import Doors, SystemIds
from booking.services import accounts
from tests.support.pages import PageSite, make_page_site


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Pages call services, which are tested on each database: here one is enough."""
    return sqlite_url


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed as in the product, with the least effort: the effort is not tested here."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", quick)
    accounts._nobodys_hash.cache_clear()


@pytest.fixture
def ids() -> SystemIds:
    """Real ids: trial accounts are named after the first letters of theirs."""
    return SystemIds()


@pytest.fixture
def app(doors: Doors, tmp_path: Path) -> Flask:
    """The application over the database of the test."""
    settings = Settings(home=tmp_path / "home", provisioner="null", secret_key="s" * 32)
    return create_app(settings, doors)


@pytest.fixture
def site(app: Flask) -> PageSite:
    """A pool of 8 cores in London, packages from tiny to large and custom, `ada` and `grace` and an administrator."""
    return make_page_site(app)
