"""The real clock door under freezegun: days of the scheduler in seconds, beat by beat of APScheduler itself."""

from __future__ import annotations

from datetime import timedelta

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.base import BaseScheduler
from freezegun import freeze_time
from sqlalchemy import Engine

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.doors import Db, Doors, SystemClock, SystemIds
from booking.scheduler import Scheduler
from booking.services import verify
from tests.support.doors import START
from tests.support.site import HOUR, make_site


class StepScheduler(BaseScheduler):  # type: ignore[misc]  # APScheduler is untyped
    """APScheduler without a thread: it looks for due jobs when it is told to."""

    def wakeup(self) -> None:
        """Nobody sleeps."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def pump(self) -> None:
        self._process_jobs()


def test_three_days_of_nights_pass_beat_by_beat(engine: Engine) -> None:
    with freeze_time(START) as frozen:
        clock = SystemClock()
        site = make_site(Doors(clock, SystemIds(), Db(engine, clock)))
        site.pool(8)
        site.package("half", 4)
        nights = [
            Span(START + n * 24 * HOUR + 12 * HOUR, START + n * 24 * HOUR + 20 * HOUR) for n in range(3)
        ]
        made = site.book(site.person("ann"), "half", *nights)
        outside = NullProvisioner(clock)
        scheduler = Scheduler(site.ctx, outside, "one")
        beat = StepScheduler(
            jobstores={"default": MemoryJobStore()}, executors={"default": {"type": "debug"}}
        )
        beat.add_job(
            scheduler.beat,
            "interval",
            minutes=20,
            coalesce=True,
            misfire_grace_time=None,
            next_run_time=clock.now(),
        )
        beat.start()
        active = []
        for _ in range(3 * 24 * 3):
            beat.pump()
            states = site.states(made.id)
            active.append(states.count(State.ACTIVE))
            frozen.tick(timedelta(minutes=20))
        beat.shutdown()
        assert max(active) == 1
        assert site.states(made.id) == [State.ENDED] * 3
        assert [event.kind for event in outside.events] == ["created", "destroyed"] * 3
        assert verify.differences(site.ctx) == []
