"""The command itself: its speed, its words, its exit codes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from booking import __version__
from booking.cli import COMMANDS
from tests.cli.conftest import Terminal

HEAVY = ("alembic", "dask", "flask", "numpy", "sqlalchemy")
BARE_STARTS = 12
"""What `--help` may cost, in starts of an interpreter that does nothing: a third of a second at 2.5 GHz."""
PROGRAM = Path(sys.executable).with_name("booking")


def test_help_needs_neither_web_nor_database_nor_dask() -> None:
    code = (
        "import sys\nfrom booking.cli import main\nmain(['--help'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_starts_cold_for_a_dozen_starts_of_the_interpreter() -> None:
    """In the processor's work, which the load of the machine changes for both alike; the best of seven turns."""
    turns = [(work_of(PROGRAM, "--help"), work_of(sys.executable, "-c", "pass")) for _ in range(7)]
    ours, bare = map(min, zip(*turns, strict=True))
    assert ours <= BARE_STARTS * bare


def work_of(*words: str | Path) -> float:
    """The processor's seconds that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_names_every_command_and_what_it_does(lite: Terminal) -> None:
    told = " ".join(lite.ok("--help").split())
    assert all(f"{name} {sentence}" in told for name, (_, sentence) in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(lite: Terminal, name: str) -> None:
    assert lite.ok(name, "--help").startswith(f"Usage: booking {name}")


def test_the_version_is_that_of_the_package(lite: Terminal) -> None:
    assert lite.ok("--version") == f"booking, version {__version__}\n"


def test_a_misspelt_command_is_met_with_the_nearest_one(lite: Terminal) -> None:
    assert "Did you mean 'verify'?" in lite.refused("verfiy", code=2)


def test_an_unknown_setting_stops_every_command_and_names_the_nearest_one(lite: Terminal) -> None:
    done = lite.run("verify", BOOKING_HOMES="x", BOOKING_PORT="many")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "BOOKING_HOMES is not a setting; did you mean BOOKING_HOME?" in done.stderr
    assert "BOOKING_PORT is a number" in done.stderr


def test_a_command_without_a_database_tells_how_to_make_one(tmp_path: Path) -> None:
    empty = Terminal(tmp_path / "home")
    assert "run `booking init` or `booking serve`" in empty.refused("account", "list")


def test_a_url_of_a_foreign_database_is_one_plain_line(tmp_path: Path) -> None:
    said = Terminal(tmp_path, "oracle://somewhere").refused("verify", code=2)
    assert said == "Error: BOOKING_DATABASE_URL is not the URL of an SQLite or PostgreSQL database\n"


def test_a_home_that_cannot_be_made_is_one_plain_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = Terminal(tmp_path / "file" / "home").refused("verify", code=2)
    assert said.startswith("Error: BOOKING_HOME: ")
    assert said.count("\n") == 1


def test_a_database_that_is_away_is_one_plain_line(tmp_path: Path) -> None:
    away = Terminal(tmp_path, "postgresql+psycopg://nobody:secret@127.0.0.1:1/none")
    assert away.refused("verify") == (
        "The database cannot be reached or written at the moment. (service.unavailable)\n"
    )


def test_config_shows_every_setting_its_origin_and_no_secret(lite: Terminal) -> None:
    url = "postgresql+psycopg://me:hunter2@db/booking"
    rows = lite.json("config", BOOKING_DATABASE_URL=url, BOOKING_SECRET_KEY="hunter3", BOOKING_WORKERS="5")
    shown = {row["variable"]: row for row in rows["items"]}
    assert (shown["BOOKING_WORKERS"]["value"], shown["BOOKING_WORKERS"]["origin"]) == ("5", "environment")
    assert (shown["BOOKING_THREADS"]["value"], shown["BOOKING_THREADS"]["origin"]) == ("8", "default")
    assert shown["BOOKING_DATABASE_URL"]["value"] == "postgresql+psycopg://me:***@db/booking"
    assert shown["BOOKING_SECRET_KEY"]["value"] == "********"
    told = lite.ok("config", BOOKING_DATABASE_URL=url, BOOKING_SECRET_KEY="hunter3")
    assert "hunter" not in told
    assert all(row["meaning"] in told for row in rows["items"])


def test_python_m_runs_the_same_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "booking.cli", "--version"],
        cwd=tmp_path,
        env=os.environ | {"BOOKING_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"booking, version {__version__}\n"
