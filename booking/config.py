"""Settings: read from the environment once, each value checked, all faults reported together."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from booking.doors import Ids

PREFIX = "BOOKING_"


class SettingsError(Exception):
    """The environment does not make settings; `faults` has a sentence for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.strip().lower() not in values:
        raise ValueError("is true or false")
    return values[text.strip().lower()]


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError("is a number") from None
        if not least <= number <= most:
            raise ValueError(f"is between {least:g} and {most:g}")
        return number

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = _number(least, most)(text)
        if number != int(number):
            raise ValueError("is a whole number")
        return int(number)

    return read


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"is one of {', '.join(names)}")
        return text

    return read


def _database(text: str) -> str:
    """A URL of SQLite or PostgreSQL; `postgres` is how some platforms spell the latter."""
    scheme, _, rest = text.partition("://")
    if text and scheme not in ("sqlite", "postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError("is not the URL of an SQLite or PostgreSQL database")
    return f"postgresql://{rest}" if scheme == "postgres" else text


def _token(text: str) -> str:
    if text and (len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text):
        raise ValueError("has at least 16 letters and digits, and no spaces")
    return text


def _postgres(text: str) -> str:
    """The same of PostgreSQL alone: one file of SQLite has no replica."""
    if text.startswith("sqlite"):
        raise ValueError("is not the URL of a PostgreSQL database")
    return _database(text)


def _setting(default: Any, read: Callable[[str], Any], help_: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"read": read, "help": help_, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """Every setting, its default and its meaning; the environment variable is `BOOKING_` + its name."""

    home: Path = _setting(
        Path(platformdirs.user_data_dir("booking")),
        Path,
        "folder of the database, the secret key and workspaces",
    )
    database_url: str = _setting(
        "", _database, "SQLAlchemy URL; empty means SQLite under the home folder", secret=True
    )
    replica_url: str = _setting(
        "",
        _postgres,
        "SQLAlchemy URL of a standby that calendars are read from; empty means none",
        secret=True,
    )
    secret_key: str = _setting(
        "", str, "signs sessions; made and kept under the home folder if empty", secret=True
    )
    provisioner: str = _setting("local", str, "what makes clusters: local or null")
    engine: str = _setting("dask", _one_of("dask", "spark"), "what runs on a local cluster: dask or spark")
    public_availability: bool = _setting(True, _boolean, "whether anybody may ask what is free")
    tick_seconds: float = _setting(2.0, _number(0.05, 60), "how often the scheduler looks for due work")
    leadership_seconds: float = _setting(10.0, _number(1, 600), "how long a scheduler leads without renewing")
    reconcile_seconds: float = _setting(
        30.0, _number(1, 3600), "how often clusters are compared with the outside"
    )
    audit_seconds: float = _setting(
        60.0, _number(1, 3600), "how often it is checked that no hour is oversold"
    )
    provision_seconds: float = _setting(
        300.0, _number(5, 86400), "how long a cluster may take to become ready"
    )
    provision_attempts: int = _setting(5, _whole(1, 20), "how often making a cluster is tried")
    teardown_seconds: float = _setting(
        10.0, _number(0, 600), "how long before its end a cluster begins to end"
    )
    warning_minutes: int = _setting(10, _whole(0, 1440), "how long before the end its owner is warned")
    lead_minutes: int = _setting(
        1, _whole(0, 1440), "least time before the start at which a cluster begins to be made"
    )
    hold_minutes: int = _setting(15, _whole(1, 1440), "how long a hold lasts if it does not say")
    offer_minutes: int = _setting(
        120, _whole(1, 1440), "how long what became free is held for who waited for it"
    )
    horizon_months: int = _setting(24, _whole(1, 120), "how far ahead may be booked at all")
    timezone: str = _setting("", str, "zone of the first pool; empty means the machine's")
    host: str = _setting("127.0.0.1", str, "address to listen on")
    port: int = _setting(8000, _whole(0, 65535), "port to listen on")
    workers: int = _setting(2, _whole(1, 64), "web processes")
    threads: int = _setting(8, _whole(1, 64), "threads of each web process")
    session_days: int = _setting(14, _whole(1, 365), "how long a login lasts")
    anonymous_hours: int = _setting(12, _whole(1, 720), "how long an account made by Give it a try lasts")
    login_limit: str = _setting("10 per 5 minutes", str, "logins allowed per address and per name")
    try_limit: str = _setting("20 per hour", str, "anonymous accounts allowed per address")
    feed_limit: str = _setting(
        "60 per 10 minutes", str, "reads allowed per feed, and of feeds that are none per address"
    )
    secure_cookies: bool = _setting(False, _boolean, "send cookies over https only")
    proxies: int = _setting(0, _whole(0, 10), "proxies in front, whose word on who calls is taken")
    log_format: str = _setting("text", _one_of("text", "json"), "lines of the log: text or json")
    metrics_token: str = _setting(
        "", _token, "whoever reads /metrics sends it; empty means only this machine may", secret=True
    )
    metrics_port: int = _setting(
        0, _whole(0, 65535), "port for the metrics of a scheduler that runs by itself; 0 means none"
    )

    @property
    def url(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.home / 'booking.sqlite'}"

    @classmethod
    def names(cls) -> dict[str, str]:
        """Every environment variable with its meaning."""
        return {PREFIX + item.name.upper(): item.metadata["help"] for item in fields(cls)}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that an environment makes.

    :raises SettingsError: if a variable is unknown or a value is wrong; it names all of them.
    """
    known = {PREFIX + item.name.upper(): item for item in fields(Settings)}
    values: dict[str, Any] = {}
    faults = []
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name.startswith("BOOKING_TEST_"):
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            faults.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
            continue
        try:
            values[known[name].name] = known[name].metadata["read"](text)
        except ValueError as error:
            faults.append(f"{name} {error}")
    if faults:
        raise SettingsError(faults)
    return Settings(**values)


def secret_key(settings: Settings, ids: Ids) -> str:
    """The key in force: the setting, or the one kept under the home folder, made at first need (mode 0600)."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.home / "secret_key"
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = path.with_name(f"secret_key.{ids.new()}")
        fresh.touch(mode=0o600)
        fresh.write_text(ids.secret())
        with suppress(FileExistsError):
            path.hardlink_to(fresh)  # only one of several processes that start at once wins
        fresh.unlink()
    return path.read_text()
