"""Faults that a trial plants in a guardian, to show that it would see them; imports wait for the trial's clock."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

from booking.adapters.local import linux, processes
from booking.adapters.local.processes import Identity
from booking.adapters.local.workspace import Workspace


def _deadline_not_kept(_site: Path) -> None:
    from booking.adapters.local.keeper import Keeper

    Keeper._is_over = lambda self: self._workspace.read("stop") is not None  # type: ignore[method-assign]


def _folder_not_removed(_site: Path) -> None:
    shutil.rmtree = lambda *_, **__: None  # type: ignore[assignment]


def _processes_not_ended(_site: Path) -> None:
    processes.end_children = lambda grace: None


def _keeper_outlives_its_guardian(_site: Path) -> None:
    linux.die_with_parent = lambda number: None


def _slow_to_follow_its_guardian(site: Path) -> None:
    follow = linux.die_with_parent

    def late(number: signal.Signals) -> None:
        _wait_for(site / "go")
        follow(number)

    linux.die_with_parent = late


def _slow_to_say_who_it_is(site: Path) -> None:
    tell = Workspace.set_guardian

    def late(self: Workspace, guardian: Identity) -> None:
        _wait_for(site / "go")
        tell(self, guardian)

    Workspace.set_guardian = late  # type: ignore[method-assign]


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


_FAULTS = {
    "": lambda _: None,
    "deadline not kept": _deadline_not_kept,
    "folder not removed": _folder_not_removed,
    "processes not ended": _processes_not_ended,
    "keeper outlives its guardian": _keeper_outlives_its_guardian,
    "slow to follow its guardian": _slow_to_follow_its_guardian,
    "slow to say who it is": _slow_to_say_who_it_is,
}


def plant(fault: str, site: Path) -> None:
    """Break this process in one way."""
    _FAULTS[fault](site)
