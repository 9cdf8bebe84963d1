"""Yesterday's backup is restored onto the clusters that run today."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from booking import migrate
from booking.adapters.base import Provisioner
from booking.adapters.local.provisioner import LocalProvisioner
from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.errors import Conflict
from booking.models import Verdict
from booking.scheduler import Scheduler
from booking.services import backup, pausing, restore, setup
from booking.services.verify import differences
from tests.adapters.waiting import eventually
from tests.support.site import HOUR, Site, make_site
from tests.trust.orphans.light import PACKAGE, lead_guardians_to
from tests.trust.orphans.light import make_site as make_trial

_TICKS = 5


@dataclass(frozen=True)
class Outcome:
    """What was outside, as reservation ids, at each stage."""

    known: frozenset[str]
    """What was booked when the backup was made."""
    running: frozenset[str]
    """What ran just before the restore."""
    paused: frozenset[str]
    """What ran after the scheduler had had its time, and nobody had said anything."""
    listed: frozenset[str]
    """What was told to be unknown."""
    asked: bool
    """Whether it could not go on before something was said about the strays."""
    ended: frozenset[str]
    """What ran after it was told to end them."""
    faults: list[str]
    """What `booking verify` says at the end."""


@contextmanager
def place(folder: Path, kind: str) -> Iterator[tuple[Site, Provisioner]]:
    """A site in real time, with clusters that are records on the disk (`null`) or have guardians (`local`)."""
    engine, clock = open_engine(f"sqlite:///{folder / 'booking.db'}"), SystemClock()
    migrate.upgrade(engine)
    site = make_site(Doors(clock, SystemIds(), Db(engine, clock)), provision_seconds=120.0)
    setup.bare(site.ctx)
    site.pool(64)
    site.package(PACKAGE, 2, 256)
    name = setup.installation(site.ctx)
    home = folder / "home"
    if kind == "null":
        yield site, NullProvisioner(clock, home / "null", installation=name)
    else:
        before = lead_guardians_to(make_trial(folder / "trial"))
        outside = LocalProvisioner(home, clock, installation=name)
        (folder / "trial" / "clock").write_text("0")
        try:
            yield site, outside
        finally:
            lead_guardians_to(before.partition(":")[0])
            _clear(outside)
    engine.dispose()


def _clear(outside: Provisioner) -> None:
    for name in outside.inventory():
        outside.teardown(name, grace=timedelta(0))
    eventually(lambda: not outside.inventory())


def restore_yesterday(site: Site, outside: Provisioner, later: int = 3) -> Outcome:
    """One booking is in the backup, `later` ones are not; the backup is restored while all of them run."""
    known = _run(site, outside, 1)
    file = io.BytesIO()
    backup.write(site.ctx, file, "0")
    running = known | _run(site, outside, later)
    restore.restore(site.ctx, backup.Archive(file), force=True)
    _tick(site, outside)
    paused = outside.inventory()
    listed = pausing.difference(site.ctx, outside).strays
    try:
        pausing.resume(site.ctx, None, listed)
        asked = False
    except Conflict:
        asked = True
    pausing.resume(site.ctx, Verdict.END, listed)
    scheduler = Scheduler(site.ctx, outside, site.ctx.ids.new())
    eventually(lambda: scheduler.tick() and len(outside.inventory()) <= 1)
    scheduler.resign()
    _tick(site, outside)
    ended = outside.inventory()
    return Outcome(known, running, paused, frozenset(listed), asked, ended, differences(site.ctx))


def _run(site: Site, outside: Provisioner, count: int) -> frozenset[str]:
    """Book so many, and wait until they are active."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    ann = site.person("ann") if "ann" not in site.people else site.people["ann"]
    made = [site.book(ann, PACKAGE, Span(hour, hour + 3 * HOUR)) for _ in range(count)]
    scheduler = Scheduler(site.ctx, outside, site.ctx.ids.new())

    def active() -> bool:
        scheduler.tick()
        return all(site.only(booking.id).state is State.ACTIVE for booking in made)

    eventually(active)
    scheduler.resign()
    return frozenset(booking.reservations[0].id for booking in made)


def _tick(site: Site, outside: Provisioner) -> None:
    """Schedulers that come and go: each compares with the outside at its first tick."""
    for number in range(_TICKS):
        scheduler = Scheduler(site.ctx, outside, f"{number}-{site.ctx.ids.new()}")
        assert scheduler.tick()
        scheduler.resign()
