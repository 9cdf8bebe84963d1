"""The scheduler: one tick that leads, does what is due, and looks at clusters.

APScheduler only keeps the beat. Due work lives in our tables, so a tick that is late, doubled or lost
changes nothing but the moment at which things happen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger

from booking import logs, metrics
from booking.adapters.base import Provisioner, ProvisionerError
from booking.errors import BookingError
from booking.lanes import Lanes
from booking.services import audit, clusters, housekeeping, leadership, offering, pausing, work
from booking.services.context import Context

log = logging.getLogger(__name__)

_PASSES = 20
"""How often one tick goes on while there is more to do, before it lets the next one renew the term."""


_LOOK_SECONDS = 60.0
"""How often the whole waiting list is looked at."""
_STEADY = timedelta(seconds=1)
"""A clock that is corrected by less has not jumped."""


class Scheduler:
    """One scheduler of any number; only the one that leads does anything."""

    def __init__(
        self, ctx: Context, provisioner: Provisioner, holder: str, lanes: Lanes | None = None
    ) -> None:
        self._ctx = ctx
        self._provisioner = provisioner
        self._lanes = lanes
        self._holder = holder
        self._epoch: int | None = None
        self._seen_at: datetime | None = None
        self._swept_at: datetime | None = None
        self._audited_at: datetime | None = None
        self._offered_at: datetime | None = None
        self._looked: dict[str, int] = {}
        """At which generation of each pool its waiting list was looked at."""
        self._ticks = 0

    def tick(self) -> bool:
        """Lead if possible, and do everything that is due now; whether this one leads."""
        self._ticks += 1
        outcome, began = "failed", self._ctx.clock.monotonic()
        try:
            with logs.about(tick=self._ticks):
                leads = self._do_all()
            outcome = "led" if leads else "stood_by"
            return leads
        finally:
            metrics.ticked(outcome, self._ctx.clock.monotonic() - began)

    def _do_all(self) -> bool:
        for _ in range(_PASSES):
            epoch = leadership.lead(self._ctx, self._holder)
            if epoch is None:
                self._epoch = None
                return False
            try:
                if not self._pass(epoch):
                    break
            except leadership.Deposed as error:
                log.warning("no longer leading: %s", error)
                self._epoch = None
                return False
        return True

    def _pass(self, epoch: int) -> bool:
        """One round; whether there may be more to do at once."""
        if epoch != self._epoch:
            log.info("leading with epoch %s", epoch)
            clusters.look_again(self._ctx, self._ctx.clock.now())
            self._epoch, self._swept_at, self._audited_at, self._offered_at = epoch, None, None, None
        self._follow_clock()
        why = pausing.reason(self._ctx)
        more = self._work(epoch) if why is None else self._rest(why)
        self._audit(epoch)
        return more

    def _follow_clock(self) -> None:
        """What was put off until an instant of a clock that has gone back since is done now.

        Instants that were promised (the end of a hold, of a token) stay as they are, and come later.
        """
        now, before = self._ctx.clock.now(), self._seen_at
        self._seen_at = now
        if before is not None and now < before - _STEADY:
            log.warning(
                "the clock went back by %s: what expires at an instant lives on until then", before - now
            )
            clusters.look_again(self._ctx, now)
            work.try_again(self._ctx, now)

    def _work(self, epoch: int) -> bool:
        done = work.do_due(self._ctx, epoch, self._provisioner.name)
        looked = clusters.converge(self._ctx, epoch, self._provisioner)
        if self._lanes is not None:
            self._lanes.run(epoch)
        self._offer(epoch)
        self._reconcile(epoch)
        return done == work.BATCH or looked == clusters.BATCH

    def _offer(self, epoch: int) -> None:
        """Look at who waits where something has changed, and now and then at all: time, too, changes what may be had."""
        if self._is_due(self._offered_at, _LOOK_SECONDS):
            self._offered_at, self._looked = self._ctx.clock.now(), {}
        self._looked = offering.offer_due(self._ctx, epoch, self._looked)

    def _rest(self, why: str) -> bool:
        """Make and end nothing; now and then tell why, and how the outside differs from the rows."""
        if self._is_due(self._swept_at, self._ctx.settings.reconcile_seconds):
            self._swept_at = self._ctx.clock.now()
            try:
                differs = pausing.difference(self._ctx, self._provisioner)
            except ProvisionerError as error:
                log.warning("paused: %s; the outside could not be listed: %s", why, error)
            else:
                log.warning("paused: %s; clusters: %s; `booking resume` goes on", why, differs)
            if self._lanes is not None:
                self._lanes.compare(why)
        return False

    def _is_due(self, last: datetime | None, seconds: float) -> bool:
        """Whether something is done again; a clock that went back must not keep it away."""
        now = self._ctx.clock.now()
        return last is None or not now - timedelta(seconds=seconds) < last <= now

    def _audit(self, epoch: int) -> None:
        if self._is_due(self._audited_at, self._ctx.settings.audit_seconds):
            self._audited_at = self._ctx.clock.now()
            with metrics.AUDIT.time():
                faults = audit.audit(self._ctx, epoch)
            metrics.audited(self._audited_at, passed=not faults)

    def _reconcile(self, epoch: int) -> None:
        if not self._is_due(self._swept_at, self._ctx.settings.reconcile_seconds):
            return
        now = self._swept_at = self._ctx.clock.now()
        oldest = work.oldest_due(self._ctx)
        if oldest is not None and oldest < now - work.LATE:
            log.warning(
                "work is late: the oldest has been due since %s", oldest.isoformat(timespec="seconds")
            )
        try:
            orphans = clusters.sweep(self._ctx, epoch, self._provisioner)
        except ProvisionerError as error:
            log.warning("the outside could not be listed: %s", error)
        else:
            if orphans:
                metrics.ORPHANS.inc(len(orphans))
                log.warning("torn down what belonged to nobody: %s", ", ".join(sorted(orphans)))
        housekeeping.tidy(self._ctx)

    def resign(self) -> None:
        """Let another scheduler lead at once."""
        leadership.resign(self._ctx, self._holder)

    def now(self) -> datetime:
        """The moment of the first beat."""
        return self._ctx.clock.now()

    def beat(self) -> None:
        """One tick as APScheduler runs it: what goes wrong is told, and the next tick tries again."""
        try:
            self.tick()
        except BookingError as error:
            log.warning("tick: %s", error)
        except Exception:  # one beat that fails must not be the last
            log.exception("tick failed")


class _Every(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """The next beat is counted from now.

    APScheduler's own interval lists every beat that a clock which went ahead has left out: for minutes.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __str__(self) -> str:
        return f"every {self.seconds:g} s"

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + timedelta(seconds=self.seconds)


class _Beat(BlockingScheduler):  # type: ignore[misc]
    """A beat that a clock which goes back does not keep waiting for the instant it had been put down for."""

    def __init__(self, every: _Every, now: Callable[[], datetime], **options: object) -> None:
        super().__init__(**options)
        self._every, self._now = every, now

    def _process_jobs(self) -> float | None:
        wait: float | None = super()._process_jobs()
        if wait is None or wait <= self._every.seconds + _STEADY.total_seconds():
            return wait
        self.modify_job("tick", next_run_time=self._now())
        return 0.0


def run(scheduler: Scheduler, tick_seconds: float, on_start: Callable[[BlockingScheduler], None]) -> None:
    """Keep the beat until the scheduler is shut down; `on_start` gets it, to wire up signals.

    A beat that is late is made once, whenever its time comes (APScheduler's own default forgets it).
    """
    every = _Every(tick_seconds)
    beat = _Beat(
        every,
        scheduler.now,
        jobstores={"default": MemoryJobStore()},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    beat.add_job(scheduler.beat, every, id="tick", next_run_time=scheduler.now())
    on_start(beat)
    beat.start()
    scheduler.resign()
