"""Foreign tongues: each module speaks to one outside system and to nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from booking.adapters.base import Provisioner

KNOWN = ("local", "null")


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
