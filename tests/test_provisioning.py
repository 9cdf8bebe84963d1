"""What users of a cluster must not see, as it is told to the provisioner."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from booking import provisioning
from booking.adapters.null import NullProvisioner
from booking.config import Settings
from tests.support.doors import TestClock


def hidden(monkeypatch: pytest.MonkeyPatch, home: Path, database_url: str) -> set[str]:
    """The files that a provisioner is told to hide."""
    told: list[str] = []

    def make(
        _name: str, folder: Path, clock: TestClock, *, hide: Iterable[Path], **_rest: Any
    ) -> NullProvisioner:
        assert folder == home
        told.extend(str(path) for path in hide)
        return NullProvisioner(clock)

    monkeypatch.setattr(provisioning, "make_provisioner", make)
    provisioning.provisioner_of(Settings(home=home, database_url=database_url), TestClock())
    return set(told)


def test_an_sqlite_database_outside_the_home_is_hidden_with_what_stands_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere.db"
    told = hidden(monkeypatch, tmp_path / "home", f"sqlite:///{path}")
    assert told == {f"{path}{ending}" for ending in ("", "-wal", "-shm", "-journal")}


@pytest.mark.parametrize("url", ["postgresql+psycopg://me@db/booking", "sqlite://", "sqlite:///:memory:"])
def test_a_database_without_files_here_hides_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    assert hidden(monkeypatch, tmp_path, url) == set()
