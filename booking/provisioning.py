"""Provisioners and platforms of an installation: one recipe for the web, the scheduler and the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import make_url

from booking.adapters import Clock, make_ports, make_provisioner
from booking.adapters.base import Ports, Provisioner, ProvisionerError, SettingsFault
from booking.config import Settings, secret_key
from booking.services import platforms
from booking.services.context import Context
from booking.services.platforms import Examine, Setup


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


def ports_of(ctx: Context, installation: str = "") -> Examine:
    """What makes the ports of a platform; what they keep is kept under the home folder, by the platform's id."""
    settings = ctx.settings
    key = hashlib.sha256(f"tokens of clusters {secret_key(settings, ctx.ids)}".encode()).digest()

    def examine(setup: Setup) -> Ports:
        home = settings.home / "platforms" / setup.id
        return make_ports(
            setup.provisioner, setup.settings, home, ctx.clock, installation=installation, key=key
        )

    return examine


def tokens_on(ctx: Context, platform_id: str) -> Callable[[str], Mapping[str, str]]:
    """What tells the tokens of clusters on a platform, without asking it.

    :raises ProvisionerError: if its settings are not what they must be.
    """
    setup = platforms.setup(ctx, platform_id)
    try:
        return ports_of(ctx)(setup).tokens
    except SettingsFault as error:
        raise ProvisionerError(str(error), transient=False) from None


def _secret_files(settings: Settings) -> list[Path]:
    """The files of an SQLite database outside the home folder, which is hidden as a whole anyway."""
    url = make_url(settings.url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return []
    return [Path(url.database + ending) for ending in ("", "-wal", "-shm", "-journal")]
