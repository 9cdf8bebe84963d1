"""Foreign tongues: each module speaks to one outside system and to nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from booking.adapters.base import Ports, Provisioner

KNOWN = ("local", "null")
"""What may make the clusters of a whole installation."""
BY_PLATFORM = ("nova", "magnum", "null")
"""What may make those of one platform."""


class Clock(Protocol):
    """What the provisioners need of the clock door."""

    def now(self) -> datetime: ...


def make_provisioner(
    name: str,
    home: Path,
    clock: Clock,
    *,
    installation: str = "",
    engine: str = "dask",
    hide: Iterable[Path] = (),
) -> Provisioner:
    """The provisioner of that name; it keeps what it needs under `home`, and marks what it makes as `installation`'s.

    `engine` and `hide` (files that users must not see) matter to `local` only.

    :raises ValueError: naming the known ones, if there is none.
    """
    if name == "local":
        from booking.adapters.local.provisioner import LocalProvisioner

        return LocalProvisioner(home, clock, engine=engine, hide=hide, installation=installation)
    if name == "null":
        from booking.adapters.null import NullProvisioner

        return NullProvisioner(clock, home / "null", installation=installation)
    raise ValueError(f"There is no provisioner {name!r}; known are {', '.join(KNOWN)}.")


def make_ports(
    name: str, settings: Mapping[str, Any], home: Path, clock: Clock, *, installation: str, key: bytes
) -> Ports:
    """What speaks to a platform whose clusters are made by the provisioner of that name; nothing is asked yet.

    `key` is a secret that all processes of the installation share; tokens of clusters derive from it.

    :raises SettingsFault: naming each setting that is wrong, or `provisioner` if there is none of that name.
    """
    if name == "null":
        from booking.adapters.null.setup import ports

        return ports(settings, home, clock, installation)
    if name == "nova":
        from booking.adapters.openstack.setup import nova_ports

        return nova_ports(settings, clock, installation, key)
    if name == "magnum":
        from booking.adapters.openstack.setup import magnum_ports

        return magnum_ports(settings, home, clock, installation, key)
    from booking.adapters.base import SettingsFault

    raise SettingsFault({"provisioner": f"is one of {', '.join(BY_PLATFORM)}"})
