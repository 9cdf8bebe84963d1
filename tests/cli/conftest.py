"""A terminal: the command line over a database of the test, and a small site in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from booking.cli import main


class Terminal:
    """Runs commands with an environment of its own."""

    def __init__(self, home: Path, database_url: str = "") -> None:
        self.home = home
        self.env = {
            "BOOKING_HOME": str(home),
            "BOOKING_DATABASE_URL": database_url,
            "BOOKING_TIMEZONE": "UTC",
        }

    def run(self, *words: str, given: str | None = None, **env: str) -> Result:
        """Run one command to its end."""
        return CliRunner().invoke(main, words, input=given, env=self.env | env, prog_name="booking")

    def ok(self, *words: str, given: str | None = None, **env: str) -> str:
        """What a command that succeeds prints."""
        done = self.run(*words, given=given, **env)
        assert done.exit_code == 0, f"{words}: {done.exit_code} {done.output} {done.exception!r}"
        return done.stdout

    def json(self, *words: str, **env: str) -> Any:
        """The JSON that a command that succeeds prints."""
        return json.loads(self.ok(*words, "--json", **env))

    def refused(self, *words: str, code: int = 1) -> str:
        """What a command that does not succeed says on standard error; nothing else is printed."""
        done = self.run(*words)
        assert (done.exit_code, done.stdout) == (code, ""), f"{words}: {done.output} {done.exception!r}"
        return done.stderr


@pytest.fixture
def terminal(tmp_path: Path, database_url: str) -> Terminal:
    """A terminal on a migrated, empty database; the test runs once on each kind."""
    return Terminal(tmp_path / "home", database_url)


@pytest.fixture
def lite(tmp_path: Path, sqlite_url: str) -> Terminal:
    """The same on SQLite only, where the database cannot matter."""
    return Terminal(tmp_path / "home", sqlite_url)


def furnish(terminal: Terminal) -> Terminal:
    """A pool of 8 cores in Berlin, packages of 2 and 8 cores, an administrator and a person of level 1."""
    terminal.ok("init", "--bare")
    terminal.ok("pool", "create", "lab", "--timezone", "Europe/Berlin")
    whole = ("--cores", "8", "--memory-mib", "32768", "--reason", "bought")
    terminal.ok("pool", "inventory", "add", "lab", "--start", "2020-01-01", *whole)
    for name, cores in (("small", 1), ("large", 7)):
        notebook = ("--notebook-cores", "1", "--notebook-memory-mib", "1024")
        worker = ("--worker-cores", str(cores), "--worker-memory-mib", "1024")
        terminal.ok("package", "create", name, *notebook, *worker)
    terminal.ok("account", "create", "root", "--admin")
    terminal.ok("account", "create", "ann")
    return terminal


@pytest.fixture
def lab(terminal: Terminal) -> Iterator[Terminal]:
    """A furnished site on each kind of database; after the test every row must still agree with the ledger."""
    yield furnish(terminal)
    assert terminal.ok("verify") == "all is well\n"


@pytest.fixture(scope="session")
def _furnished(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Path:
    folder = tmp_path_factory.mktemp("furnished")
    path = folder / "furnished.db"
    shutil.copyfile(_sqlite_template, path)
    furnish(Terminal(folder / "home", f"sqlite:///{path}"))
    return path


@pytest.fixture
def lite_lab(tmp_path: Path, _furnished: Path) -> Iterator[Terminal]:
    """A furnished site on SQLite only, and the same check at the end."""
    path = tmp_path / "booking.db"
    shutil.copyfile(_furnished, path)
    terminal = Terminal(tmp_path / "home", f"sqlite:///{path}")
    yield terminal
    assert terminal.ok("verify") == "all is well\n"
