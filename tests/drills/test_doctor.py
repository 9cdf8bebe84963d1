"""The doctor finds every illness that is brought about on purpose, and is silent about a healthy installation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from booking.cli import checks as machine
from booking.services import checks
from tests.cli.conftest import Terminal
from tests.drills.ward import ILLNESSES, Ward, caught, ward

NAMES = ["settings", *(check.name for check in (*machine.CHECKS, *checks.CHECKS))]


@pytest.fixture
def healthy(tmp_path: Path) -> Iterator[Ward]:
    with ward(tmp_path) as made:
        yield made


def test_of_every_check_an_illness_is_known() -> None:
    assert len(NAMES) >= 15
    assert set(ILLNESSES) == set(NAMES)
    assert len(set(NAMES)) == len(NAMES)
    assert all(check.advice for check in (*machine.CHECKS, *checks.CHECKS))


def test_it_is_silent_about_a_healthy_installation(healthy: Ward) -> None:
    assert healthy.faults() == {}


@pytest.mark.parametrize("check", NAMES)
def test_each_illness_is_found(healthy: Ward, check: str) -> None:
    assert caught(healthy, check)


@pytest.mark.postgres
def test_on_postgresql_it_finds_that_the_server_of_the_tests_is_not_durable(
    tmp_path: Path, postgres_url: str
) -> None:
    with ward(tmp_path, postgres_url) as made:
        faults = made.faults()
        assert set(faults) == {"database durable"}
        assert "fsync is off" in faults["database durable"]
        made.say("UPDATE account SET is_admin = false")
        assert "an administrator" in made.faults()


def test_what_needs_a_database_is_not_looked_at_without_one(healthy: Ward) -> None:
    list_of_all = {"database reachable", "database migrated", "clock", "rows agree"}
    with contextmanager(ILLNESSES["database reachable"])(healthy):
        faults = healthy.faults()
    assert list_of_all <= set(faults)
    assert faults["rows agree"] == ""


def test_the_command_says_what_is_wrong_and_what_mends_it(tmp_path: Path, sqlite_url: str) -> None:
    lite = Terminal(tmp_path / "home", sqlite_url)
    lite.env |= {"BOOKING_PROVISIONER": "null", "BOOKING_PORT": "0"}
    lite.ok("init")
    lite.home.chmod(0o700)
    done = lite.run("doctor")
    assert done.exit_code == 1
    assert "!!  last backup: there has never been one\n      booking backup FILE, every day\n" in done.stdout
    assert "ok  rows agree\n" in done.stdout
    shown = json.loads(lite.run("doctor", "--json", BOOKING_PROT="1").stdout)
    assert shown["ok"] is False
    by_name = {item["name"]: item for item in shown["items"]}
    assert by_name["settings"]["fault"] == "BOOKING_PROT is not a setting; did you mean BOOKING_PORT?"
    assert by_name["rows agree"] == {
        "name": "rows agree",
        "ok": True,
        "fault": "",
        "advice": checks.CHECKS[13].advice,
    }
