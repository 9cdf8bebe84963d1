"""The provisioner of an installation: one recipe for the web, the scheduler and the command line."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url

from booking.adapters import Clock, make_provisioner
from booking.adapters.base import Provisioner
from booking.config import Settings


def provisioner_of(settings: Settings, clock: Clock, installation: str = "") -> Provisioner:
    """What makes clusters here; users see neither the home folder nor the files of the database.

    With the name of the `installation`, what another one made is left alone.

    :raises ValueError: naming the known ones, if the settings name none.
    """
    return make_provisioner(
        settings.provisioner,
        settings.home,
        clock,
        installation=installation,
        engine=settings.engine,
        hide=_secret_files(settings),
    )


def _secret_files(settings: Settings) -> list[Path]:
    """The files of an SQLite database outside the home folder, which is hidden as a whole anyway."""
    url = make_url(settings.url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return []
    return [Path(url.database + ending) for ending in ("", "-wal", "-shm", "-journal")]
