"""Settings: a wrong environment is refused at once, all of it, with the remedy."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from booking.config import Settings, SettingsError, read_settings, secret_key
from tests.support.doors import SequenceIds


def test_an_empty_environment_makes_sqlite_under_the_home_folder() -> None:
    settings = read_settings({"PATH": "/bin"})
    assert settings.url == f"sqlite:///{settings.home / 'booking.sqlite'}"


def test_every_fault_is_told_at_once_and_a_near_name_is_suggested() -> None:
    wrong = {
        "BOOKING_PROVISONER": "null",
        "BOOKING_TICK_SECONDS": "soon",
        "BOOKING_PUBLIC_AVAILABILITY": "perhaps",
    }
    with pytest.raises(SettingsError) as caught:
        read_settings(wrong)
    said = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 3
    assert "did you mean BOOKING_PROVISIONER" in said
    assert "BOOKING_TICK_SECONDS is a number" in said
    assert "BOOKING_PUBLIC_AVAILABILITY is true or false" in said


@pytest.mark.parametrize(
    "given, used",
    [
        ("postgres://me@host/name", "postgresql://me@host/name"),
        ("postgresql+psycopg://me@host/name", "postgresql+psycopg://me@host/name"),
        ("sqlite:////var/lib/booking.sqlite", "sqlite:////var/lib/booking.sqlite"),
    ],
)
def test_databases_of_two_kinds_are_known(given: str, used: str) -> None:
    assert read_settings({"BOOKING_DATABASE_URL": given}).url == used


@pytest.mark.parametrize("given", ["mysql://me@host/name", "booking.sqlite"])
def test_another_database_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="BOOKING_DATABASE_URL is not the URL"):
        read_settings({"BOOKING_DATABASE_URL": given})


def test_the_secret_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    first = secret_key(settings, SequenceIds())
    assert secret_key(settings, SequenceIds()) == first
    assert stat.S_IMODE((tmp_path / "home" / "secret_key").stat().st_mode) == 0o600
    assert secret_key(Settings(home=tmp_path, secret_key="given"), SequenceIds()) == "given"


def test_secrets_are_not_printed() -> None:
    assert "hush" not in repr(Settings(secret_key="hush", database_url="postgresql://me:hush@host/name"))


def test_a_replica_is_a_postgresql() -> None:
    assert read_settings({"BOOKING_REPLICA_URL": "postgres://a/b"}).replica_url == "postgresql://a/b"
    with pytest.raises(SettingsError, match="BOOKING_REPLICA_URL is not the URL of a PostgreSQL database"):
        read_settings({"BOOKING_REPLICA_URL": "sqlite:///a.db"})
