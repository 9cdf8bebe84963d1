"""Light clusters for hostile code, and a search of the whole machine for what is left of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from booking.adapters.base import ClusterSpec, ClusterState, outside_name
from booking.adapters.local import processes
from booking.adapters.local.containment import Containment
from booking.adapters.local.processes import Identity
from booking.adapters.local.provisioner import LocalProvisioner
from booking.adapters.local.workspace import Workspace
from tests.trust.hostile.acts import program
from tests.trust.orphans.census import Census, Counter
from tests.trust.orphans.clock import SteppedClock
from tests.trust.orphans.light import PACKAGE, lead_guardians_to, make_site

T = TypeVar("T")
BOOKED_MIB = 128
SECONDS = 60.0
_HOUR = timedelta(hours=1)


def awaited(look: Callable[[], T], seconds: float = SECONDS) -> T:
    """The first truthy answer, or the last one when the time is over."""
    until = time.monotonic() + seconds
    while not (answer := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return answer


@dataclass
class Cluster:
    """One cluster, its folder, and the file that every hostile process of it holds open."""

    name: str
    machine: Machine
    witness: tuple[int, int] = (0, 0)
    known: set[Identity] = field(default_factory=set)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.machine.home / "workspaces" / outside_name(self.name))

    @property
    def work(self) -> Path:
        return self.workspace.inside().work

    def start(self) -> None:
        self.machine.provisioner.provision(self.machine.specification(self.name))
        assert awaited(self.is_ready), self.machine.provisioner.observe(self.name)
        # Known from now on, though it may be replaced.
        path = self.work / "witness"
        path.touch()
        self.witness = (path.stat().st_dev, path.stat().st_ino)

    def is_ready(self) -> bool:
        return self.machine.provisioner.observe(self.name).state is ClusterState.READY

    def run(self, name: str, act: str, prey: object, *, wait: bool = True) -> Any:
        """Let its notebook run an act; what the act says of itself, or nothing."""
        endpoints = self.machine.provisioner.observe(self.name).endpoints
        (url,) = (endpoint.url for endpoint in endpoints if endpoint.name == "notebook")
        port = int(url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as peer:
            peer.sendall(f"RUN {program(name, act, prey)}".encode())
            peer.shutdown(socket.SHUT_WR)
            peer.recv(4096)
        said = self.work / f"said-{name}"
        return json.loads(said.read_text()) if wait and awaited(said.exists, 20) else None

    def processes(self, census: Census) -> set[Identity]:
        """All that belongs to it by mark or namespace, or has the witness open."""
        marked = census.processes.get(outside_name(self.name), set())
        return {one for one in marked | holders(self.witness) if one.is_alive()}

    def remember(self) -> None:
        self.known |= self.processes(self.machine.counter.count())

    def survivors(self) -> set[Identity]:
        """What is left of it now, also of what was seen of it before."""
        return self.processes(self.machine.counter.count()) | {one for one in self.known if one.is_alive()}

    def files(self) -> dict[str, str]:
        """What its neighbours must not be able to change."""
        names = ("spec.json", "launch.json", "deadline", "token")
        own = {name: self.workspace.read(name) or "" for name in names}
        canary = self.work / "canary"
        return own | {"canary": canary.read_text() if canary.is_file() else ""}


@dataclass
class Machine:
    """A home for clusters of one containment, on a clock of its own."""

    home: Path
    clock: SteppedClock
    provisioner: LocalProvisioner
    counter: Counter

    def specification(self, name: str) -> ClusterSpec:
        now, mib = self.clock.now(), BOOKED_MIB
        return ClusterSpec(name, "b", "ann", PACKAGE, 1, mib, 1, mib, 1, now, now + _HOUR)

    def cluster(self, name: str) -> Cluster:
        cluster = Cluster(name, self)
        cluster.start()
        (cluster.work / "canary").write_text("as it was")
        return cluster


@contextmanager
def machine(folder: Path, containment: Containment | None, plant: str = "") -> Iterator[Machine]:
    """A home whose clusters are all ended at last, also those of a trial that failed."""
    home, site = folder / "home", make_site(folder / "site", plant)
    home.mkdir(parents=True)
    clock = SteppedClock(site / "clock")
    before = lead_guardians_to(site)
    provisioner = LocalProvisioner(home, clock, containment=containment, installation="ours")
    found = Machine(home, clock, provisioner, Counter(home))
    try:
        yield found
    finally:
        for pids in found.counter.count().processes.values():
            end(pids)
        for name in provisioner.inventory():
            provisioner.teardown(name, grace=timedelta(0))
        lead_guardians_to(before)


def end(identities: set[Identity]) -> None:
    """Kill what a trial left."""
    for identity in identities:
        identity.send(signal.SIGKILL)


def holders(witness: tuple[int, int]) -> set[Identity]:
    """Every process of this machine that has that file open, whatever it is called by now."""
    found = set()
    for pid in processes.table():
        if any(_is(path, witness) for path in _open_files(pid)):
            identity = processes.identify(pid)
            found |= {identity} if identity else set()
    return found


def _open_files(pid: int) -> list[str]:
    """Those of its first thread, or of another one where that has ended: all threads have the same."""
    for place in (f"/proc/{pid}", *map(str, Path(f"/proc/{pid}/task").glob("*"))):
        with suppress(OSError):
            if entries := os.listdir(f"{place}/fd"):
                return [f"{place}/fd/{entry}" for entry in entries]
    return []


def _is(path: str, witness: tuple[int, int]) -> bool:
    try:
        seen = Path(path).stat()
    except OSError:
        return False
    return (seen.st_dev, seen.st_ino) == witness
