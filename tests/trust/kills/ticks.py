"""The scheduler is killed while it starts a cluster, and while it ends it; the outside is the twin on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path

from sqlalchemy import make_url

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.doors import Db, Doors, SystemIds, open_engine
from booking.scheduler import Scheduler
from booking.services.context import Context
from tests.support.doors import TestClock
from tests.trust.kills.inject import Injection
from tests.trust.kills.place import PACKAGE, Place
from tests.trust.kills.postgres import DurableServer
from tests.trust.kills.sweep import MOST, Step, Swept

TICKS = 5
"""So many, a second apart, bring a cluster from any state to where it is wanted."""
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@dataclass(frozen=True)
class Scene:
    """An installation in a time of its own, and its outside."""

    place: Place
    clock: TestClock
    outside: NullProvisioner
    server: DurableServer | None = None
    """Whose backend is the victim; None: the scheduler itself."""

    @property
    def victim(self) -> str:
        return "scheduler's backend" if self.server else "scheduler"


def sweep(scene: Scene, stride: int = 1, verified_every: int = 1) -> dict[str, Swept]:
    """Kill it at every `stride`-th step of a start and of an end, until both ran undisturbed, for each kind."""
    seen = {act: Swept(verified_every=verified_every) for act in ("start", "end")}
    kinds = _life(scene, {"start": Step(), "end": Step()}, seen)
    for kind in dict.fromkeys(kinds["start"] + kinds["end"]):
        for nth in count(1, stride):
            assert nth < MOST
            struck = _life(scene, {act: Step(kind, nth) for act in seen}, seen)
            if not any(struck.values()):
                break
    for one in seen.values():
        one.faults += scene.place.wrong()
    return seen


def _life(scene: Scene, steps: dict[str, Step], seen: dict[str, Swept]) -> dict[str, list[str]]:
    """One booking from its start to its end, killed in both; the kinds of calls that were seen where it struck."""
    place, clock = scene.place, scene.clock
    start = clock.now().replace(minute=0, second=0, microsecond=0) + HOUR
    clock.set(start)
    booking = place.site.book(place.person, PACKAGE, Span(start, start + HOUR))
    (reservation,) = booking.reservations
    wanted = {
        "start": (State.ACTIVE, {reservation.id}, start),
        "end": (State.ENDED, set[str](), start + HOUR),
    }
    found = {}
    for act, (state, outside, moment) in wanted.items():
        clock.set(moment)
        found[act] = _killed(scene, steps[act], seen[act])
        where = f"{act}, {scene.victim}, {steps[act].kind} {steps[act].nth}"
        seen[act].verify(place, where)
        _run(scene, lambda _pid: None)
        seen[act].faults += [f"{where}, next: {f}" for f in _unlike(scene, booking.id, state, outside)]
        if scene.outside.created(reservation.id) > 1:
            seen[act].doubles += 1
            seen[act].faults.append(f"{where}: made {scene.outside.created(reservation.id)} times")
    return found


def _killed(scene: Scene, step: Step, seen: Swept) -> list[str]:
    """The kinds of calls seen, if it was struck or only watched."""
    log, database = scene.place.home / "strace", make_url(scene.place.url).database
    injection: Injection | None = None

    def inject(pid: int) -> None:
        nonlocal injection
        victim = scene.server.backends(str(database))[0] if scene.server else pid
        injection = Injection(victim, log, step.kind, step.nth).__enter__()

    _run(scene, inject)
    assert injection is not None
    injection.__exit__(None, None, None)
    if scene.server:
        scene.server.await_answer()
    if injection.struck:
        seen.points += 1
        seen.kinds[step.kind] += 1
    return injection.kinds if injection.struck or not step.kind else []


def _unlike(scene: Scene, booking_id: str, state: State, outside: set[str]) -> list[str]:
    """What is not as it should be by now."""
    wrong = [f"it is {one}, not {state}" for one in scene.place.site.states(booking_id) if one is not state]
    if (there := scene.outside.inventory()) != outside:
        wrong.append(f"outside is {sorted(there)}, not {sorted(outside)}")
    return wrong


def _run(scene: Scene, meanwhile: Callable[[int], None]) -> None:
    """A scheduler in a process of its own, which ticks some times after `meanwhile` was done with its pid."""
    scene.place.leave()
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        _tick(scene, ready[1], go[0])
    try:
        assert os.read(ready[0], 1) == b"."
        meanwhile(pid)
        os.write(go[1], b".")
    finally:
        os.waitpid(pid, 0)
        for end in (*ready, *go):
            os.close(end)
    # The term of one that was killed is over before the next comes.
    scene.clock.advance((TICKS + 2 * scene.place.site.ctx.settings.leadership_seconds) * SECOND)


def _tick(scene: Scene, ready: int, go: int) -> None:
    """The child: the real scheduler on connections of its own; never returns."""
    code = 1
    try:
        engine = open_engine(scene.place.url)
        doors = Doors(scene.clock, SystemIds(), Db(engine, scene.clock))
        scheduler = Scheduler(
            Context(doors, scene.place.site.ctx.settings), scene.outside, f"at {os.getpid()}"
        )
        engine.connect().close()
        os.write(ready, b".")
        os.read(go, 1)
        for _ in range(TICKS):
            scheduler.beat()
            scene.clock.advance(SECOND)
        engine.dispose()
        code = 0
    finally:
        os._exit(code)


def scene_of(place: Place, clock: TestClock, server: DurableServer | None = None) -> Scene:
    """A scene whose outside is in the home folder."""
    return Scene(place, clock, NullProvisioner(clock, Path(place.home) / "null"), server)
