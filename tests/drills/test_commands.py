"""`booking backup`, `restore`, `status`, `pause` and `resume` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from booking.adapters.null import NullProvisioner
from booking.doors import SystemClock
from tests.cli.conftest import Terminal, furnish


@pytest.fixture
def terminal(tmp_path: Path, sqlite_url: str) -> Terminal:
    """A furnished site whose clusters are records."""
    terminal = Terminal(tmp_path / "home", sqlite_url)
    terminal.env["BOOKING_PROVISIONER"] = "null"
    return furnish(terminal)


def test_a_backup_is_for_its_owner_alone_and_replaces_the_last_one_as_a_whole(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "backup" / "booking.zip"
    assert "cannot be written: No such file" in terminal.refused("backup", str(file))
    file.parent.mkdir()
    assert "rows of" in terminal.ok("backup", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.read_bytes()
    terminal.ok("account", "create", "ben")
    terminal.ok("backup", str(file))
    assert file.read_bytes() != first
    assert [path.name for path in file.parent.iterdir()] == ["booking.zip"]
    assert json.loads((terminal.home / "last_backup.json").read_text())["file"] == str(file)


def test_a_restore_needs_force_and_leaves_the_scheduler_paused(terminal: Terminal, tmp_path: Path) -> None:
    file = str(tmp_path / "booking.zip")
    terminal.ok("backup", file)
    terminal.ok("account", "create", "ben")
    assert "--force" in terminal.refused("restore", file)
    assert "ben" in terminal.ok("account", "list")
    assert terminal.ok("restore", file, "--dry-run").startswith("A backup of ")
    assert "ben" in terminal.ok("account", "list")
    said = terminal.ok("restore", file, "--force")
    assert "all is well\nThe scheduler is paused" in said
    assert "ben" not in terminal.ok("account", "list")
    assert "restored from a backup" in terminal.ok("status")
    assert terminal.ok("resume").endswith("The scheduler goes on.\n")
    assert "paused           no" in terminal.ok("status")


def test_a_restore_into_nothing_makes_the_database(terminal: Terminal, tmp_path: Path) -> None:
    file = str(tmp_path / "booking.zip")
    terminal.ok("backup", file)
    fresh = Terminal(tmp_path / "other")
    assert "all is well" in fresh.ok("restore", file)
    assert "ann" in fresh.ok("account", "list")
    assert "ann" in fresh.ok("account", "list", BOOKING_DATABASE_URL="")


def test_a_file_that_is_no_backup_is_refused_before_anything_is_touched(
    terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "booking.zip"
    file.write_text("nonsense")
    assert "no whole backup" in terminal.refused("restore", str(file), "--force")
    assert "ann" in terminal.ok("account", "list")


def test_strays_are_shown_and_must_be_judged(terminal: Terminal) -> None:
    outside = NullProvisioner(SystemClock(), terminal.home / "null")
    outside.lose("stray000000000000001")
    terminal.ok("pause", "a look")
    shown = terminal.json("status")
    assert (shown["paused"], shown["strays"]) == ("a look", ["stray000000000000001"])
    done = terminal.run("resume")
    assert done.exit_code == 1
    assert "1 clusters outside are known to no row" in done.stderr
    assert terminal.json("status")["paused"] == "a look"
    terminal.ok("resume", "--strays", "keep")
    assert terminal.json("status")["strays"] == []
