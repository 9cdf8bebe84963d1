"""Lanes: the outside work of each platform goes on beside that of all others, so that one that hangs holds up nobody.

The scheduler that leads starts a round of every lane that is idle. A round is a thread of its own, which a
process that ends does not wait for: whatever it was doing is taken up from the rows by the next one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from booking import logs, metrics
from booking.adapters.base import Ports, ProvisionerError, SettingsFault
from booking.errors import BookingError
from booking.services import clusters, pausing, platforms, pledging, stock
from booking.services.context import Context
from booking.services.leadership import Deposed
from booking.services.platforms import Setup
from booking.services.work import back_off

log = logging.getLogger(__name__)

_LONGEST_REST = timedelta(minutes=1)
"""So long at most a platform that does not answer is left alone: it heals by itself, and soon."""


class Lane:
    """What is done on one platform; while it does not answer, only now and then."""

    def __init__(self, ctx: Context, setup: Setup, ports: Ports) -> None:
        self.setup = setup
        self._ctx = ctx
        self._ports = ports
        self._lessor = None if ports.pledges is None else pledging.Lessor(setup.id, ports.pledges)
        self._failures = 0
        self._fault: str | None = None
        self._is_told = False
        """Whether the row of the platform says how it fares."""
        self._rests_until: datetime | None = None
        self._swept_at: datetime | None = None

    def round(self, epoch: int) -> None:
        """Take every step that is due, until the platform does not answer."""
        now = self._ctx.clock.now()
        if self._rests_until is not None and now < self._rests_until <= now + _LONGEST_REST:
            return
        faults = [str(error) for step in self._steps() if (error := _fault_of(step, epoch)) is not None]
        if faults:
            self._fails(faults[0])
        else:
            self._answers()
        metrics.platform_rests(self.setup.name, bool(faults))

    def _steps(self) -> Iterator[Callable[[int], object]]:
        """Each goes on whether or not the others could: one thing that always fails must not hold up the rest."""
        ctx, ports, lessor = self._ctx, self._ports, self._lessor
        yield lambda epoch: _all(
            clusters.BATCH, clusters.converge, ctx, epoch, ports.provisioner, self.setup.id
        )
        if lessor is not None:
            yield lambda epoch: _all(pledging.BATCH, pledging.release_due, ctx, epoch, lessor)
            yield lambda epoch: _all(pledging.BATCH, pledging.ask_due, ctx, epoch, lessor)
        is_due = self._is_due()
        if lessor is not None and (is_due or pledging.must_look(ctx, lessor)):
            yield lambda epoch: self._tell("pledges", pledging.look(ctx, epoch, lessor))
        if is_due:
            yield lambda epoch: self._tell("clusters", clusters.sweep(ctx, epoch, ports.provisioner))
            yield self._read_stock
            self._swept_at = ctx.clock.now()

    def _read_stock(self, epoch: int) -> None:
        stock.refresh(self._ctx, epoch, self.setup, self._ports)
        metrics.platform_read(self.setup.name, self._ctx.clock.now())

    def _is_due(self) -> bool:
        now, last = self._ctx.clock.now(), self._swept_at
        return last is None or not now - timedelta(seconds=self._ctx.settings.reconcile_seconds) < last <= now

    def _tell(self, what: str, orphans: frozenset[str]) -> None:
        if orphans:
            metrics.ORPHANS.inc(len(orphans))
            log.warning("%s: %s that belonged to nobody are gone: %s", self.setup.name, what, sorted(orphans))

    def _fails(self, fault: str) -> None:
        self._failures += 1
        rest = min(back_off(self._failures), _LONGEST_REST)
        self._rests_until = self._ctx.clock.now() + rest
        log.warning("%s does not answer as it should, and rests for %s: %s", self.setup.name, rest, fault)
        if fault != self._fault or not self._is_told:
            platforms.note_fault(self._ctx, self.setup.id, fault)
        self._fault, self._is_told = fault, True

    def _answers(self) -> None:
        if self._fault is not None or not self._is_told:
            platforms.note_fault(self._ctx, self.setup.id, None)
            if self._fault is not None:
                log.info("%s answers again", self.setup.name)
                pledging.ask_again(self._ctx, self.setup.id)
                clusters.look_again(self._ctx, self._ctx.clock.now())
        self._failures, self._fault, self._rests_until, self._is_told = 0, None, None, True


def _all(batch: int, act: Callable[..., int], *arguments: object) -> None:
    """Batch after batch, until one is not full."""
    while act(*arguments) == batch:
        pass


def _fault_of(step: Callable[[int], object], epoch: int) -> ProvisionerError | None:
    try:
        step(epoch)
    except ProvisionerError as error:
        return error
    return None


Start = Callable[[str, Callable[[], None]], Callable[[], bool]]
"""Begins an act of that name beside the caller; what it gives tells whether that is still under way."""


def in_thread(name: str, act: Callable[[], None]) -> Callable[[], bool]:
    """Run it in a thread that a process which ends does not wait for."""
    thread = threading.Thread(target=act, name=name, daemon=True)
    thread.start()
    return thread.is_alive


class Lanes:
    """One lane for each platform that makes clusters by itself; they follow its row."""

    def __init__(self, ctx: Context, ports_of: platforms.Examine, start: Start = in_thread) -> None:
        self._ctx = ctx
        self._ports_of = ports_of
        self._start = start
        self._lanes: dict[str, Lane] = {}
        self._under_way: dict[str, Callable[[], bool]] = {}

    def run(self, epoch: int) -> None:
        """Begin a round of every lane that is idle; nothing is waited for."""
        for setup in platforms.setups(self._ctx):
            if not self._is_busy(setup):
                self._begin(setup, epoch)

    def compare(self, why: str) -> None:
        """While the scheduler is paused: tell how each platform differs from the rows; nothing is waited for."""
        for setup in platforms.setups(self._ctx):
            if not self._is_busy(setup):
                act = partial(_compare, self._ctx, pausing.Outside(setup, self._ports_of), why)
                self._under_way[setup.id] = self._start(f"lane {setup.name}", act)

    def _is_busy(self, setup: Setup) -> bool:
        is_busy = self._under_way.get(setup.id)
        return is_busy is not None and is_busy()

    def _begin(self, setup: Setup, epoch: int) -> None:
        lane = self._lanes.get(setup.id)
        if lane is None or lane.setup != setup:
            try:
                lane = self._lanes[setup.id] = Lane(self._ctx, setup, self._ports_of(setup))
            except SettingsFault as error:
                log.error("%s: %s", setup.name, error)
                platforms.note_fault(self._ctx, setup.id, str(error))
                return

        def act() -> None:
            with logs.about(platform=setup.name):
                _round(lane, epoch)

        self._under_way[setup.id] = self._start(f"lane {setup.name}", act)


def _compare(ctx: Context, outside: pausing.Outside, why: str) -> None:
    try:
        differs = pausing.difference(ctx, None, [outside])
    except Exception:  # the thread ends here, and nobody else would tell
        log.exception("%s could not be compared", outside.setup.name)
    else:
        log.warning("paused: %s; clusters on %s: %s", why, outside.setup.name, differs)


def _round(lane: Lane, epoch: int) -> None:
    """What goes wrong is told, and the next round tries again."""
    try:
        lane.round(epoch)
    except Deposed as error:
        # Whoever leads now tells how it fares.
        metrics.platform_rests(lane.setup.name, False)
        log.warning("no longer leading: %s", error)
    except BookingError as error:
        log.warning("%s: %s", lane.setup.name, error)
    except Exception:  # the thread ends here, and nobody else would tell
        log.exception("the round of %s failed", lane.setup.name)
