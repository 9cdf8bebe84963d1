"""The outside of clusters on this machine: its processes, its folders, and real time."""

from __future__ import annotations

import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from booking.adapters.base import ClusterState, Observed, Provisioner, outside_name
from booking.adapters.local import processes
from booking.adapters.local.containment import Containment
from booking.adapters.local.processes import Identity
from booking.adapters.local.provisioner import LocalProvisioner
from booking.adapters.local.workspace import Workspace
from tests.adapters.contract import NO_GRACE, Outside
from tests.adapters.waiting import eventually

_GUARDIAN = "booking.adapters.local.guardian"


class ShiftedClock:
    """The machine's clock, which a test may put ahead."""

    def __init__(self) -> None:
        self.later = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later


class LocalOutside(Outside):
    """Clusters under `home`."""

    def __init__(
        self,
        home: Path,
        *,
        engine: str = "dask",
        hide: tuple[Path, ...] = (),
        containment: Containment | None = None,
    ) -> None:
        self.home = home
        self.clock = ShiftedClock()
        self._make = partial(
            LocalProvisioner, home, self.clock, engine=engine, hide=hide, containment=containment
        )

    def provisioner(self) -> LocalProvisioner:
        return self._make()

    def now(self) -> datetime:
        return self.clock.now()

    def folder(self, reservation_id: str) -> Path:
        return self.home / "workspaces" / outside_name(reservation_id)

    def wait_for(self, provisioner: Provisioner, reservation_id: str, state: ClusterState) -> Observed:
        seen = provisioner.observe(reservation_id)

        def look() -> bool:
            nonlocal seen
            seen = provisioner.observe(reservation_id)
            return seen.state is state

        try:
            eventually(look)
        except AssertionError as error:
            raise AssertionError(f"never {state}, at last {seen}") from error
        return seen

    def half_make(self, reservation_id: str) -> None:
        """What a service leaves that is killed before it could start the guardian."""
        workspace = Workspace(self.folder(reservation_id))
        workspace.folder.mkdir(parents=True)
        workspace.inside().make()
        workspace.write("token", "never used")

    def made(self, reservation_id: str) -> int:
        return len(identities(self.folder(reservation_id)))

    def children(self, pid: int) -> list[int]:
        return [process.pid for process in processes.table().values() if process.parent == pid]

    def clear(self) -> None:
        """End whatever a test left, also a failing one."""
        provisioner = self.provisioner()
        for reservation_id in provisioner.inventory():
            provisioner.teardown(reservation_id, grace=NO_GRACE)
            self.clock.later += timedelta(minutes=1)
            provisioner.teardown(reservation_id, grace=NO_GRACE)
        left = running(str(self.home))
        processes.kill(left, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)
        assert left == []


def identities(folder: Path) -> list[Identity]:
    """The guardians of a folder: of those who were started for it, those that no other one started."""
    table = processes.table()
    matching = set(processes.with_arguments(_GUARDIAN, str(folder)))
    outermost = [pid for pid in matching if pid in table and table[pid].parent not in matching]
    found = (processes.identify(pid) for pid in outermost)
    return [identity for identity in found if identity is not None and identity.is_alive()]


def running(*words: str) -> list[int]:
    """The living processes with all these words somewhere in their arguments."""
    found = []
    for pid, process in processes.table().items():
        line = processes.arguments_of(pid).decode(errors="replace")
        if process.state not in "ZX" and pid != os.getpid() and all(word in line for word in words):
            found.append(pid)
    return found
