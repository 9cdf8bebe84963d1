"""Up to the newest tables and back while others write: no committed row is lost, on either database."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from booking import migrate
from tests.drills.moving import REVISIONS, up_and_down
from tests.support.postgres import database

pytestmark = [pytest.mark.slow]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_no_row_is_lost(request: pytest.FixtureRequest, tmp_path: Path, kind: str, revision: str) -> None:
    if kind == "sqlite":
        moved = up_and_down(f"sqlite:///{tmp_path / 'moving.db'}", revision)
    else:
        server = request.getfixturevalue("postgres_server")
        with database(server, f"booking_moving_{uuid4().hex}") as url:
            moved = up_and_down(url.render_as_string(hide_password=False), revision)
    assert moved.lost == []
    assert moved.written >= 80


def test_a_migration_that_forgets_rows_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = migrate.upgrade

    def forgetful(engine: Engine, to: str = "head") -> None:
        upgrade(engine, to)
        if to == "head":
            with engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM ledger WHERE seq % 7 = 0")

    monkeypatch.setattr(migrate, "upgrade", forgetful)
    moved = up_and_down(f"sqlite:///{tmp_path / 'moving.db'}", REVISIONS[1], rows=20)
    assert moved.lost
