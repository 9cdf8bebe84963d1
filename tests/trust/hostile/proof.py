"""Hostile code in clusters of this machine, with namespaces and without."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from booking.adapters.local.containment import Containment
from booking.adapters.local.making import strongest_containment
from booking.adapters.local.processes import resident_mib
from tests.trust.hostile.acts import ACTS, KILLS_ALL, KILLS_ITS_GUARDIAN
from tests.trust.hostile.victim import BOOKED_MIB, Cluster, Machine, awaited, end, machine
from tests.trust.orphans.census import listening_sockets
from tests.trust.orphans.reaper import reaped
from tests.trust.proof import Finding, Scale

PROMISE = "Whatever a user's code does on this machine, nothing of it is left after the booking, and no neighbour is hurt."
TIMES = {Scale.QUICK: 1, Scale.SHORT: 1, Scale.FULL: 20}
_LEFT_SECONDS = 15.0
"""Grace, and the time to end hundreds of processes on a machine that does other things."""


@dataclass
class Trial:
    """What one containment let through."""

    acts: int = 0
    processes: int = 0
    left: int = 0
    ports: int = 0
    folders: int = 0
    neighbour_hurt: int = 0
    written: int = 0
    traced: int = 0
    over_budget: int = 0
    escaped: int = 0
    """What was left after the code had killed its own guardian."""

    @property
    def residue(self) -> int:
        return self.left + self.ports + self.folders


def prove(scale: Scale, seed: int) -> Finding:
    finding = Finding()
    best = strongest_containment()
    apart, shared = Trial(), Trial()
    with tempfile.TemporaryDirectory(prefix="booking-hostile-") as folder, reaped(Path(folder)):
        for turn in range(TIMES[scale]):
            if best.isolates:
                attempt(Path(folder, f"apart{turn}"), best, apart)
            attempt(Path(folder, f"shared{turn}"), Containment.SUBREAPER, shared)
    if best.isolates:
        _show_apart(finding, best, apart)
    else:
        finding.faults.append("This kernel allows no namespaces: what they promise was not tried.")
    _show_shared(finding, shared)
    return finding


def _show_apart(finding: Finding, best: Containment, trial: Trial) -> None:
    finding.show("containment", best.value)
    finding.show("hostile acts", trial.acts)
    finding.show("processes they had at once", trial.processes)
    finding.zero("processes, ports, folders left after the booking", trial.residue)
    finding.zero("left after it killed all that it could reach", trial.escaped)
    finding.zero("neighbours hurt", trial.neighbour_hurt)
    finding.zero("files written outside of its own folder", trial.written)
    finding.zero("foreign processes traced", trial.traced)
    finding.zero("programs that kept more memory than is booked", trial.over_budget)


def _show_shared(finding: Finding, trial: Trial) -> None:
    finding.show("without namespaces: hostile acts", trial.acts)
    finding.zero("without namespaces: left after the booking", trial.residue)
    finding.zero("without namespaces: neighbours whose processes were hurt", trial.neighbour_hurt)
    finding.remarks.append(
        "Without namespaces a user's code has the rights of the service's account, and this does not hold: "
        f"it wrote {trial.written} files outside of its folder, traced {trial.traced} processes of its neighbour, "
        f"and {trial.escaped} of its processes outlived the end of the booking after it had killed its own guardian."
    )


def attempt(folder: Path, containment: Containment, trial: Trial) -> None:
    """All acts in one cluster beside a neighbour, and the killing ones in another; then their deadline comes."""
    folder.mkdir()
    with machine(folder, containment) as place:
        hostile, neighbour, killer = (
            place.cluster(f"{name}0000") for name in ("hostile", "neighbour", "killer")
        )
        for one in (hostile, neighbour, killer):
            one.remember()
        as_it_was = neighbour.files()
        before, people = neighbour.known.copy(), _prey(place, hostile, neighbour)
        _act(hostile, people, trial)
        _kill(killer, containment, trial)
        hostile.remember()
        killer.remember()
        trial.processes = max(trial.processes, len(hostile.known))
        trial.neighbour_hurt += not all(one.is_alive() for one in before) or not neighbour.is_ready()
        if containment.isolates:
            trial.neighbour_hurt += neighbour.files() != as_it_was
        _end(place, hostile, killer, trial)


def _prey(place: Machine, hostile: Cluster, neighbour: Cluster) -> dict[str, object]:
    files = [neighbour.work / "canary", neighbour.workspace.folder / "token"]
    files += [hostile.workspace.folder / "launch.json", place.home / "secret.key"]
    (place.home / "secret.key").write_text("secret")
    return {
        "pids": sorted(one.pid for one in neighbour.known),
        "files": [str(path) for path in files],
        "bytes": 4 * BOOKED_MIB * 2**20,
    }


def _act(hostile: Cluster, prey: dict[str, object], trial: Trial) -> None:
    held = set()
    for name, act in ACTS.items():
        said = hostile.run(name, act, prey, wait=name != "eats memory")
        trial.acts += 1
        held |= {said} if name == "holds a port" else set()
        trial.traced += len(said) if name == "traces others" else 0
    # It may write files of these names where they lead elsewhere in its own view: the real ones count.
    changed = [path for path in map(Path, prey["files"]) if path.read_text() == "hostile"]  # type: ignore[call-overload]
    trial.written += len(changed)
    trial.over_budget += not awaited(lambda: _is_within_budget(hostile), 20)


def _is_within_budget(hostile: Cluster) -> bool:
    """Whether its owner was told, and none of its programs is larger than the booking."""
    pids = {one.pid for one in hostile.processes(hostile.machine.counter.count())}
    told = (hostile.work / "NOTICES.txt").exists()
    return told and all(resident_mib([pid]) <= BOOKED_MIB for pid in pids)


def _kill(killer: Cluster, containment: Containment, trial: Trial) -> None:
    trial.acts += 1
    if containment.isolates:
        killer.run("kills all", KILLS_ALL, {"namespace": str(Path("/proc/self/ns/pid").readlink())})
        return
    own = killer.machine.counter.count().processes[killer.workspace.folder.name]
    killer.run("kills its guardian", KILLS_ITS_GUARDIAN, {"guardians": sorted(one.pid for one in own)})


def _end(place: Machine, hostile: Cluster, killer: Cluster, trial: Trial) -> None:
    """Nobody ends them but their own deadline."""
    ports = place.counter.count(sockets=True).sockets
    ours = {inode for inode, name in ports.items() if name == hostile.workspace.folder.name}
    place.clock.jump_to(place.clock.now() + timedelta(hours=2))
    began = time.monotonic()
    awaited(lambda: not hostile.survivors() and not hostile.workspace.exists(), _LEFT_SECONDS)
    awaited(lambda: not killer.survivors(), max(1.0, _LEFT_SECONDS - (time.monotonic() - began)))
    left, escaped = hostile.survivors(), killer.survivors()
    trial.left += len(left)
    trial.escaped += len(escaped)
    trial.folders += hostile.workspace.exists()
    trial.ports += len(ours & listening_sockets())
    end(left | escaped)
