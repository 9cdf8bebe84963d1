"""Alive, ready, and what is written down of each request."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from booking import create_app, logs
from booking.config import Settings
from booking.doors import Doors
from tests.api.support import Caller, Site


def test_alive_is_alive_and_ready_needs_database_migrations_and_a_leader(
    site: Site, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.nobody.get("/healthz").must(200)
    assert site.nobody.get("/readyz").must(200) == {"status": "ready"}
    monkeypatch.setattr("booking.api.health.leadership.is_led", lambda _: False)
    problem = site.nobody.get("/readyz").must(503, "service.not_ready")
    assert "scheduler" in problem["detail"]
    monkeypatch.setattr("booking.api.health.migrate.is_current", lambda _: False)
    assert "migrated" in site.nobody.get("/readyz").must(503)["detail"]

    def fail(_: object) -> bool:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setattr("booking.api.health.migrate.is_current", fail)
    assert "reached" in site.nobody.get("/readyz").must(503)["detail"]
    site.nobody.get("/healthz").must(200)


def test_a_database_without_tables_is_not_ready(tmp_path: Any) -> None:
    fresh = create_app(Settings(home=tmp_path, provisioner="null", secret_key="s" * 32))
    assert "migrated" in Caller(fresh).get("/readyz").must(503)["detail"]
    with fresh.app_context():
        from booking.app import db

        db.engine.dispose()


def test_a_request_is_logged_as_one_line_without_secrets(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "booking.access")
    caplog.handler.setFormatter(logs.Json())
    answer = site.root.get("/packages?")
    (line,) = [line for line in caplog.text.splitlines() if "booking.access" in line]
    assert answer.headers["X-Request-Id"] in line
    assert site.root.token is not None
    assert site.root.token not in line
    assert '"status": 200' in line
