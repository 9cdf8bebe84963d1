"""The twins as the ports of a platform."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from booking.adapters.base import Ports, SettingsFault
from booking.adapters.null.outside import Clock
from booking.adapters.null.pledges import NullPledges
from booking.adapters.null.provisioner import NullProvisioner


def ports(settings: Mapping[str, Any], home: Path, clock: Clock, installation: str) -> Ports:
    """Records under `home`; with the setting `pledges`, it pledges, of so many `cores` if that is set.

    :raises SettingsFault: for any other setting, and for values of another kind.
    """
    faults = dict.fromkeys(settings.keys() - {"pledges", "cores", "fixed"}, "is not a setting of null")
    for name in ("pledges", "fixed"):
        if not isinstance(settings.get(name, False), bool):
            faults[name] = "must be true or false"
    cores = settings.get("cores")
    if cores is not None and (not isinstance(cores, int) or isinstance(cores, bool) or cores < 0):
        faults["cores"] = "must be a whole number, 0 or more"
    if faults:
        raise SettingsFault(faults)
    pledges = None
    if settings.get("pledges"):
        pledges = NullPledges(
            clock,
            home / "pledges",
            installation=installation,
            cores=cores,
            may_change=not settings.get("fixed", False),
        )
    provisioner = NullProvisioner(clock, home / "clusters", installation=installation)
    return Ports(provisioner, pledges, tokens=provisioner.credentials)
