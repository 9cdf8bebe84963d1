"""Real guardians, the service and the schedulers under kill -9: nothing is left, and what is wanted runs once."""

from __future__ import annotations

import math
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from booking.adapters.base import outside_name
from booking.services.verify import differences
from tests.trust.hostile.victim import awaited, end
from tests.trust.orphans.census import Census, Counter, cgroups_named, listening_sockets, mounts_of
from tests.trust.orphans.chaos import HOUR, LEAD, Chaos
from tests.trust.orphans.foreign import Foreign
from tests.trust.orphans.installation import TERM_SECONDS, Installation, Row
from tests.trust.orphans.reaper import reaped
from tests.trust.orphans.watch import GRACE, Watch
from tests.trust.proof import Finding, Scale

PROMISE = (
    "Whatever is killed, and if the service never comes back: after its end nothing of a cluster is left, "
    "and every cluster that is wanted runs exactly once."
)
SETTLE_SECONDS = 120.0
LATENESS_SECONDS = 5.0
_COLLECTED_SECONDS = 5.0
_RUNNING = ("ready",)
_OPEN = ("wanted", "starting", "stopping")
_UNSETTLED = ("preparing", "ending")
_FINAL = ("ended", "cancelled", "failed", "expired")


@dataclass(frozen=True)
class Size:
    """How much is tried."""

    rounds: int
    starts: int
    full: int
    standbys: int


SIZES = {
    Scale.QUICK: Size(1, 8, 0, 1),
    Scale.SHORT: Size(6, 20, 2, 2),
    Scale.FULL: Size(50, 20, 50, 3),
}


def prove(scale: Scale, seed: int) -> Finding:
    size, finding = SIZES[scale], Finding()
    with tempfile.TemporaryDirectory(prefix="booking-orphans-") as folder, ExitStack() as stack:
        stack.enter_context(reaped(Path(folder)))
        place = Installation(Path(folder, "one"), size.standbys)
        stack.callback(_clean, place)
        foreign = Foreign(place.home, place.folder / "site", place.clock)
        stack.callback(foreign.close)
        with Watch(place) as watch:
            place.start_missing()
            trial = Trial(place, watch, foreign, finding, timed=scale is not Scale.QUICK)
            trial.chaos(size, seed)
            trial.alone()
            trial.restored()
        trial.conclude()
    return finding


def _clean(place: Installation) -> None:
    """Leave nothing of a trial, also of one that failed."""
    place.close()
    for pids in Counter(place.home).count().processes.values():
        end(pids)


@dataclass
class Trial:
    """One installation through its three parts."""

    place: Installation
    watch: Watch
    foreign: Foreign
    finding: Finding
    timed: bool
    _calms: list[float] = field(default_factory=list)

    def chaos(self, size: Size, seed: int) -> None:
        """Everything is killed; then faults stop, and it has two minutes."""
        assert awaited(lambda: (self.place.call("GET", "bookings") or b"") != b"")
        self._chaos = Chaos(self.place, self.watch, seed)
        self._chaos.run(size.rounds, size.starts, size.full, self._calm)
        settled = max(self._calms)
        deeds, finding = self._chaos.deeds, self.finding
        finding.show("bookings, extended, cancelled", self._asked())
        finding.show("killed with SIGKILL", sum(deeds.killed.values()))
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(deeds.killed.items()))
        finding.remarks.append(f"Killed: {kinds}.")
        finding.show(
            f"seconds until all was settled, worst of {len(self._calms)} pauses of the faults",
            round(settled, 1),
            "<= 120",
            settled < SETTLE_SECONDS,
        )
        finding.faults += [] if deeds.bookings else ["nothing was booked"]
        finding.faults += [f"not settled: {what}" for what in self._unsettled()[:5]] + deeds.wrong[:5]
        self._show_left("after the faults")

    def _calm(self) -> None:
        """Faults have stopped: wait until all is as the rows want it."""
        began = time.monotonic()
        awaited(lambda: not self._unsettled(), SETTLE_SECONDS)
        self._calms.append(time.monotonic() - began)

    def _asked(self) -> str:
        deeds = self._chaos.deeds
        return f"{len(deeds.bookings)}, {deeds.extended}, {len(deeds.cancelled)}"

    def _unsettled(self) -> list[str]:
        """What is not yet as the rows want it; each wanted cluster has one guardian."""
        census, rows = self.watch.count()
        open_ = [f"{row.id} {row.state} {row.phase}" for row in rows if row.phase in _OPEN]
        soon = self.place.clock.now() + LEAD
        open_ += [
            f"{row.id} {row.state}"
            for row in rows
            if row.state in _UNSETTLED or (row.state == "confirmed" and row.start <= soon)
        ]
        wanted = {outside_name(row.id) for row in rows if row.phase in _RUNNING}
        found = {name: len(each) for name, each in census.guardians.items() if name not in self.foreign.names}
        open_ += [f"{name} has {number} guardians" for name, number in found.items() if number != 1]
        return open_ + [f"{name} differs from the rows" for name in wanted ^ found.keys()]

    def _show_left(self, when: str) -> None:
        census, rows = self.watch.count()
        wanted = {outside_name(row.id) for row in rows if row.phase in _RUNNING} | self.foreign.names
        once = sum(len(census.guardians.get(name, ())) == 1 for name in wanted - self.foreign.names)
        number = len(wanted - self.foreign.names)
        self.finding.show(
            f"wanted clusters that run exactly once, {when}", f"{once} of {number}", "all", once == number
        )
        self.finding.zero(
            f"processes, folders, ports, mounts, cgroups left of ended clusters, {when}",
            self._left(census, wanted),
        )
        struck = self._chaos.deeds.struck_at
        failed = [row for row in rows if row.state == "failed"]
        # After the last jump before its end there is no time to make a cluster again.
        strange = [row for row in failed if row.end - struck.get(outside_name(row.id), row.start) > LEAD]
        late = f"struck within {LEAD.seconds} seconds of their end and failed, {when}"
        self.finding.show(late, len(failed) - len(strange))
        self.finding.zero(f"other reservations that failed, {when}", len(strange))
        self.finding.faults += [self._told(row) for row in strange[:10]]

    def _told(self, row: Row) -> str:
        struck = self._chaos.deeds.struck_at.get(outside_name(row.id))
        when = f"last struck {struck:%H:%M:%S}" if struck else "never struck"
        return f"{row.id}, {row.start:%H:%M} to {row.end:%H:%M}, {when}, failed: {row.reason}"

    def _left(self, census: Census, wanted: set[str]) -> int:
        strays = sum(len(pids) for name, pids in census.processes.items() if name not in wanted)
        held = {inode for inode, name in self.watch.notes.sockets.items() if name not in wanted}
        ended = self._chaos.deeds.bookings.keys() - wanted
        left = strays + len(census.folders - wanted) + len(held & listening_sockets())
        return left + mounts_of(self.place.home) + cgroups_named(ended)

    def alone(self) -> None:
        """The service is dead for good: deadlines are kept by those who guard the clusters."""
        self.place.kill_service()
        census, _ = self.watch.count()
        running = {name: each for name, each in census.guardians.items() if name not in self.foreign.names}
        killed = sorted(running)[:2]
        for name in killed:
            end(running[name])
        last = max((self.watch.notes.ends[name] for name in running), default=self.place.clock.now())
        while self.place.clock.now() < last:
            hour = self.place.clock.now().replace(minute=0, second=0, microsecond=0) + HOUR
            self.place.clock.jump_to(hour - timedelta(seconds=1))
            time.sleep(1.0)
            awaited(lambda: not self._late(Counter(self.place.home).count()), GRACE.total_seconds())
        awaited(lambda: self._ours(Counter(self.place.home).count()) == 0, GRACE.total_seconds())
        left = Counter(self.place.home).count()
        self.finding.show("clusters whose service was dead for good", len(running))
        self.finding.zero("their processes that were left after their end", self._ours(left))
        self.finding.zero(
            "their folders that were left, but of those whose guardian was killed too",
            len(left.folders - self.foreign.names - set(killed)),
        )

    def _late(self, census: Census) -> set[str]:
        now, ends = self.place.clock.now(), self.watch.notes.ends
        return {name for name in census.processes if name in ends and ends[name] <= now}

    def _ours(self, census: Census) -> int:
        return sum(len(p) for name, p in census.processes.items() if name not in self.foreign.names)

    def restored(self) -> None:
        """The service comes back, and clears away what nobody could."""

        def is_clean() -> bool:
            self.place.start_missing()
            census, rows = self.watch.count()
            clean = not census.folders - self.foreign.names
            return clean and all(row.state in _FINAL for row in rows)

        if not awaited(is_clean, SETTLE_SECONDS):
            self.finding.faults.append("not clean two minutes after the service came back")
        # Whoever was killed is collected a moment later, on a machine that does other things.
        awaited(lambda: self._left(self.watch.count()[0], self.foreign.names) == 0, _COLLECTED_SECONDS)
        census, _ = self.watch.count()
        self.finding.zero("left after the service came back", self._left(census, self.foreign.names))
        self.finding.zero("differences that booking verify finds", len(differences(self.place.site.ctx)))
        self.finding.zero(
            f"processes and files of others touched, of {self.foreign.all_named}", self.foreign.touched()
        )

    def conclude(self) -> None:
        """What was watched all the while."""
        notes, finding = self.watch.notes, self.finding
        finding.show("guardians", len(notes.guardians))
        finding.show("full clusters with JupyterLab and Dask", len(self._chaos.deeds.full))
        finding.show("clusters at once", notes.most)
        finding.zero("clusters that ran twice at any look", len(notes.doubles))
        finding.zero("cluster-seconds past end and grace", round(notes.seconds_past_end))
        self._show_take_over()
        self._show_lateness()

    def _show_take_over(self) -> None:
        overs = sorted(self.watch.notes.take_overs)
        slowest = overs[-1] if overs else 0.0
        name = f"slowest of {len(overs)} take-overs, seconds; a term has {TERM_SECONDS}"
        self._show_seconds(name, slowest, 3 * TERM_SECONDS)

    def _show_lateness(self) -> None:
        deeds, ready = self._chaos.deeds, self.place.first_ready()
        counted = deeds.promised.keys() - deeds.struck - deeds.full - deeds.cancelled
        missing = [name for name in counted if name.removeprefix("bk-") not in ready]
        self.finding.zero("promised starts that never came", len(missing))
        attended: list[float] = []
        unattended: list[float] = []
        for name in counted - set(missing):
            start, came = deeds.promised[name], ready[name.removeprefix("bk-")]
            alone = any(start - LEAD <= moment <= came for moment in self.watch.notes.outages)
            (unattended if alone else attended).append(max(0.0, (came - start).total_seconds()))
        attended.sort()
        late = attended[math.ceil(0.99 * len(attended)) - 1] if attended else 0.0
        self._show_seconds(f"start lateness, seconds, p99 of {len(attended)}", late, LATENESS_SECONDS)
        worst = round(max(unattended, default=0.0), 1)
        self.finding.show(f"worst of {len(unattended)} starts while no scheduler was alive at all", worst)

    def _show_seconds(self, name: str, seconds: float, bar: float) -> None:
        """Hold a figure of speed to its bar, but not in the tests, which run beside others."""
        if self.timed:
            self.finding.show(name, round(seconds, 1), f"<= {bar:g}", seconds <= bar)
        else:
            self.finding.show(name, round(seconds, 1))
