"""No secret is in a log, an answer, the journal, a command line, or the environment of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import request

from booking.api import guard
from tests.security.canaries import everything_logged, inside, outside
from tests.security.world import World


def test_no_secret_is_told_by_the_application(world: World) -> None:
    hunt = inside(world)
    assert hunt.leaks == []
    assert hunt.places > 50


def test_a_leak_would_be_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    line = guard._line

    def with_headers(response: object) -> dict[str, object]:
        return line(response) | {"headers": dict(request.headers)}  # type: ignore[arg-type]

    monkeypatch.setattr(guard, "_line", with_headers)
    found = " ".join(inside(world).leaks)
    assert "token in" in found
    assert "session cookie in" in found


def test_a_statement_that_fails_is_logged_without_what_was_in_it(world: World) -> None:
    with everything_logged() as lines:
        world.execute("ALTER TABLE token RENAME TO gone")
        world.client.get("/api/v1/bookings", headers={"Authorization": "Bearer some-token"})
    text = "\n".join(lines)
    assert "no such table: token" in text
    assert "SQL parameters hidden" in text


@pytest.mark.slow
@pytest.mark.clusters
@pytest.mark.xdist_group("serve")
def test_no_secret_is_told_by_the_processes(tmp_path: Path) -> None:
    hunt = outside(tmp_path / "service")
    assert hunt.leaks == []
    assert hunt.places > 10
