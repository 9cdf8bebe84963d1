"""A site behind its API, and callers who speak to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from booking import create_app
from booking.config import Settings
from booking.doors import Doors
from booking.services import leadership
from tests.api.support import Site
from tests.support.doors import SequenceIds


class ScatteredIds(SequenceIds):
    """The same in every run, yet as different from the first letter on as drawn ones."""

    def new(self) -> str:
        return super().new()[::-1]


@pytest.fixture
def ids() -> SequenceIds:
    """Ids whose beginnings differ: an anonymous account is named by the beginning of its id."""
    return ScatteredIds()


@pytest.fixture
def app(doors: Doors, tmp_path: Path) -> Flask:
    """The application over the database of the test."""
    return create_app(Settings(home=tmp_path / "home", provisioner="null", secret_key="s" * 32), doors)


@pytest.fixture
def site(app: Flask) -> Site:
    """An administrator, a pool of 8 cores and 32 GiB, and packages from tiny to large; a scheduler leads."""
    site = Site(app)
    site.admin("root")
    pool = {"name": "main", "timezone": "UTC", "granularity": "hour"}
    site.root.post("/pools", json=pool).must(201)
    whole = {
        "span": {"start": "2029-01-01T00:00:00Z", "end": None},
        "resources": {"cores": 8, "memory_mib": 32768},
        "reason": "bought",
    }
    site.root.post("/pools/main/inventory", json=whole).must(201)
    for name, cores in (("tiny", 1), ("small", 2), ("medium", 4), ("large", 8)):
        size = {
            "name": name,
            "notebook": {"cores": 1, "memory_mib": 1024},
            "worker": {"cores": cores - 1, "memory_mib": 1024 * (cores - 1)},
        }
        site.root.post("/packages", json=size).must(201)
    leadership.lead(site.ctx, "test")
    return site
