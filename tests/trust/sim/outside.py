"""The outside world: the twin of a provisioner, with everything that real ones do wrong.

Answers are lost, what was refused as too slow lands later, lists and looks are seconds old, calls fail
for a moment, and some clusters are being made for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from booking.adapters.base import ClusterSpec, ClusterState, Observed, ProvisionerError
from booking.adapters.null import Call, Event, Memory, Moment, NullProvisioner
from tests.trust.sim.hub import CALM, SECOND, Chances, Fate, Hub, Task

_STALE = 10 * SECOND
"""How old an answer may be at most."""
_LATEST = 60 * SECOND
"""How long after its call has failed a cluster is made, every other time; else up to:"""
_VERY_LATE = 40 * 60 * SECOND
_REFUSALS = ((429, "too many requests"), (500, "internal error"), (503, "not at the moment"))
_LATENCY = 2 * SECOND
"""The longest that a call takes when nothing is wrong."""


@dataclass
class Trouble:
    """How likely each fault of the outside is."""

    late: float = 0.0
    """That a cluster is made some time after the call for it has failed."""
    stale: float = 0.0
    """That a look or a list is some seconds old."""
    refused: float = 0.0
    chances: Chances = CALM
    stuck: str = ""
    """What the reservations end with whose clusters are not ready when they are first made, nor ever."""


class Watcher(Protocol):
    """Whoever judges what is asked of the outside."""

    def asked(self, call: str, reservation_id: str) -> None: ...

    def listed(self) -> None:
        """Called when the outside is listed."""

    def specified(self, spec: ClusterSpec) -> None:
        """Called with what shall be made."""

    def lapsed(self, reservation_id: str, ends_at: datetime) -> None:
        """A cluster ended by itself, at the deadline that it knew."""

    def doubled(self, reservation_id: str) -> None:
        """A cluster was made beside one that was there."""

    def doubted(self, reservation_id: str) -> None:
        """From now on this cluster may be there, or look as if it were not, without anybody's fault."""


class _TrueClock:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def now(self) -> datetime:
        return self._hub.now


class _Records(Memory):
    """Notices a cluster that is made in the place of one that works."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self._watcher = watcher
        self._replaced: dict[str, Any] | None = None

    def write(self, reservation_id: str, record: dict[str, Any]) -> None:
        self._replaced = self.records.get(reservation_id)
        super().write(reservation_id, record)

    def append(self, event: Event) -> None:
        if event.kind == "created" and self._replaced is not None and not self._replaced["half_made"]:
            self._watcher.doubled(event.reservation_id)
        super().append(event)


class SimOutside(NullProvisioner):
    """One outside world, used by every scheduler."""

    def __init__(
        self, hub: Hub, trouble: Trouble, watcher: Watcher, speed: tuple[timedelta, timedelta]
    ) -> None:
        super().__init__(_TrueClock(hub), ready_after=speed[0], gone_after=speed[1], faults=self._fault)
        self._outside = _Records(watcher)
        self._hub, self._trouble, self._watcher = hub, trouble, watcher
        self._landing = False
        self._past: dict[str, tuple[int, Observed]] = {}
        """When something was last done to a cluster, and how it looked before."""
        self._landings: list[Task] = []
        self._stuck_until = datetime.max.replace(tzinfo=UTC)
        self.counts: Counter[str] = Counter()
        """What went wrong outside, by kind."""

    # -- the port -----------------------------------------------------------------------------

    def provision(self, spec: ClusterSpec) -> None:
        self._watcher.asked("provision", spec.reservation_id)
        self._watcher.specified(spec)
        if self._drawn(self._trouble.late):
            self._land_later(spec)
        self._change(spec.reservation_id, lambda: super(SimOutside, self).provision(spec))

    def extend(self, reservation_id: str, ends_at: datetime) -> None:
        self._watcher.asked("extend", reservation_id)
        self._change(reservation_id, lambda: super(SimOutside, self).extend(reservation_id, ends_at))

    def teardown(self, reservation_id: str, *, grace: timedelta) -> None:
        self._watcher.asked("teardown", reservation_id)
        self._change(reservation_id, lambda: super(SimOutside, self).teardown(reservation_id, grace=grace))

    def observe(self, reservation_id: str) -> Observed:
        self._watcher.asked("observe", reservation_id)
        seen = super().observe(reservation_id)
        if self._drawn(self._trouble.stale):
            older = self._before(reservation_id, seen)
            self.counts["looked stale"] += older != seen
            seen = older
            self._watcher.doubted(reservation_id)
        return seen

    def inventory(self) -> frozenset[str]:
        self._watcher.listed()
        found = super().inventory()
        if not self._drawn(self._trouble.stale):
            return found
        names = found | {name for name, (at, _) in self._past.items() if self._hub.micros - at <= _STALE}
        older = frozenset(name for name in names if self._was_there(name, name in found))
        self.counts["listed stale"] += older != found
        return older

    # -- what the simulator itself sees and does ------------------------------------------------

    def truth(self) -> dict[str, Observed]:
        """Everything that exists, without any fault."""
        return {
            name: self._look(name) for name in sorted(self._outside.names()) if self._settle(name) is not None
        }

    def calm(self) -> None:
        """From now on everything is answered, and what was to land late lands within a minute."""
        self._trouble.chances = CALM
        self._stuck_until = self._hub.now
        for landing in self._landings:
            if not landing.dead:
                self._hub.wake(landing, self._hub.micros + self._hub.dice.randrange(_LATEST))

    def breakage(self) -> None:
        """One of the clusters breaks."""
        names = [name for name, seen in self.truth().items() if seen.state is ClusterState.READY]
        if names and self._hub.chances is not CALM:
            name = self._hub.dice.choice(names)
            self._hub.note(f"broken {name}")
            self.lose(name)

    def _seen(self, record: dict[str, Any] | None) -> Observed:
        seen = super()._seen(record)
        if record is None or seen.state is not ClusterState.READY or not self._is_stuck(record):
            return seen
        return Observed(ClusterState.STARTING, "The cluster is being made.", ends_at=seen.ends_at)

    def _is_stuck(self, record: dict[str, Any]) -> bool:
        name = record["spec"]["reservation_id"]
        in_trouble = datetime.fromisoformat(record["made_at"]) < self._stuck_until
        return in_trouble and name[-1] in self._trouble.stuck and self.created(name) == 1

    def _look(self, reservation_id: str) -> Observed:
        return self._seen(self._settle(reservation_id))

    def _fault(self, call: Call, reservation_id: str, moment: Moment) -> None:
        if self._landing:
            return
        fate = self._hub.cross(f"{call}:{moment}", self._trouble.chances, _LATENCY)
        if fate is Fate.LOST and moment == "after":
            self.counts["answers lost"] += 1
            raise ProvisionerError("the answer was lost")
        if fate is Fate.LOST or (moment == "before" and self._drawn(self._trouble.refused)):
            code, why = self._hub.dice.choice(_REFUSALS)
            self.counts[f"answered {code}"] += 1
            raise ProvisionerError(f"{code} {why}")

    def _change(self, reservation_id: str, act: Callable[[], None]) -> None:
        before = self._look(reservation_id)
        try:
            act()
        except ProvisionerError:
            self._remember(reservation_id, before)
            raise
        self._remember(reservation_id, before)

    def _settle(self, reservation_id: str) -> dict[str, Any] | None:
        record = self._outside.read(reservation_id)
        settled = super()._settle(reservation_id)
        if record is not None and settled is None and "gone_at" not in record and record.get("ends_at"):
            self._watcher.lapsed(reservation_id, datetime.fromisoformat(record["ends_at"]))
        return settled

    def _remember(self, reservation_id: str, before: Observed) -> None:
        if self._look(reservation_id) != before:
            self._past[reservation_id] = (self._hub.micros, before)

    def _before(self, reservation_id: str, seen: Observed) -> Observed:
        at, before = self._past.get(reservation_id, (0, seen))
        return before if self._hub.micros - at <= _STALE else seen

    def _was_there(self, reservation_id: str, is_there: bool) -> bool:
        at, before = self._past.get(reservation_id, (-_STALE, None))
        if before is None or self._hub.micros - at > _STALE:
            return is_there
        return before.state is not ClusterState.ABSENT

    def _land_later(self, spec: ClusterSpec) -> None:
        """The call fails, and takes effect afterwards."""
        self._hub.cross("provision:before", self._trouble.chances, _LATENCY)
        self._watcher.doubted(spec.reservation_id)
        latest = _VERY_LATE if self._hub.dice.random() < 0.5 else _LATEST
        landing = self._hub.spawn("landing", None, lambda: self._land(spec), self._hub.dice.randrange(latest))
        self._landings.append(landing)
        self._hub.cross("provision:after", self._trouble.chances, _LATENCY)
        raise ProvisionerError("no answer in time")

    def _land(self, spec: ClusterSpec) -> None:
        self._landing = True
        try:
            self._change(spec.reservation_id, lambda: super(SimOutside, self).provision(spec))
            self.counts["landed late"] += 1
        except ProvisionerError:
            self._hub.note(f"landing refused {spec.reservation_id}")
        self._landing = False

    def _drawn(self, chance: float) -> bool:
        return self._hub.chances is not CALM and self._hub.dice.random() < chance
