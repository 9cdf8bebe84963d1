"""Disk, clock and stalls as a proof."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from tests.trust.faults import clock, disk, stall
from tests.trust.proof import Finding, Scale

PROMISE = (
    "A full or failing disk costs writes and nothing else, for as long as it lasts; whatever the clock does, "
    "each booking starts once and ends once; a scheduler that stood still does nothing under its old epoch."
)
TRIES = {Scale.QUICK: 3, Scale.SHORT: 20, Scale.FULL: 500}
"""Bookings while the disk is full, and while it fails now and then."""
STALLS = {Scale.QUICK: (), Scale.SHORT: range(1, 40, 5), Scale.FULL: range(1, 200)}
"""At which of its calls the leader stands still."""
SCENES = {Scale.QUICK: clock.SCENES[:1], Scale.SHORT: clock.SCENES, Scale.FULL: clock.SCENES}
EIO_RATE = 0.05
SIDE_BY_SIDE = 2


def prove(scale: Scale, seed: int) -> Finding:
    """Nothing but the moments of the I/O errors is drawn, by libfiu."""
    logging.getLogger("booking").addHandler(logging.NullHandler())
    finding = Finding()
    with tempfile.TemporaryDirectory(prefix="booking-faults-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _disk(finding, "disk full", disk.can_be_full(), lambda: disk.full(folder / "full", TRIES[scale]))
        if scale is not Scale.QUICK:
            fails = lambda: disk.failing(folder / "fails", TRIES[scale], EIO_RATE)  # noqa: E731
            _disk(finding, f"{EIO_RATE:.0%} of writes fail", disk.can_fail(), fails)
        _clock(finding, scale, folder)
        if STALLS[scale]:
            _stalls(finding, stall.stalls(folder / "stalls", STALLS[scale]))
    finding.remarks.append(
        "A promise ends at an instant: after a clock has gone back, a hold or a token lives until that instant "
        "comes again. The scheduler says so in its log."
    )
    finding.remarks.append("Not shown here: PostgreSQL on a full disk; memory that runs out.")
    return finding


def _disk(finding: Finding, what: str, possible: bool, run: Callable[[], disk.Seen]) -> None:
    if not possible:
        finding.remarks.append(f"Not shown here, because this machine does not let us: {what}.")
        return
    seen = run()
    refused = seen.writes[503]
    finding.show(f"{what}: bookings answered 503 with Retry-After", refused, "more than 0", refused > 0)
    others = sum(seen.writes.values()) - refused - seen.writes[201]
    finding.zero(f"{what}: bookings answered neither 201 nor 503", others)
    failed = sum(number for status, number in seen.reads.items() if status != 200)
    finding.show(f"{what}: reads answered", seen.reads[200], "more than 0", seen.reads[200] > 0)
    finding.zero(f"{what}: reads not answered", failed)
    back = round(seen.recovered, 1)
    finding.show(f"{what}: seconds until it books again", back, "at most 30", back <= 30)
    finding.faults += [f"{what}: {fault}" for fault in seen.faults]


def _clock(finding: Finding, scale: Scale, folder: Path) -> None:
    preload = clock.library()
    if preload is None:
        finding.remarks.append("Not shown here, because libfaketime is not installed: jumps of the clock.")
        return

    alone = Lock()

    def run(number_and_scene: tuple[int, clock.Scene]) -> clock.Seen:
        number, scene = number_and_scene
        with alone:  # the migrations are not made for threads
            stage = clock.Stage(folder / f"clock-{number}", scene, preload)
        try:
            return clock.play(stage)
        finally:
            stage.close()

    with ThreadPoolExecutor(SIDE_BY_SIDE) as hands:
        seen = list(hands.map(run, enumerate(SCENES[scale])))
    for scene, one in zip(SCENES[scale], seen, strict=True):
        late = round(max(one.late), 1)
        bar = f"at most {clock.LATE:g}"
        finding.show(f"clock, {scene.name}: seconds late at worst", late, bar, late <= clock.LATE)
        finding.faults += one.faults
    finding.show("clock: jumps and boundaries", sum(len(one.late) for one in seen))
    finding.zero("clock: made or ended twice", sum(one.twice for one in seen))
    finding.zero("clock: never made or never ended", sum(one.never for one in seen))


def _stalls(finding: Finding, seen: stall.Seen) -> None:
    finding.show("stalls of the leader for three terms", seen.stalls, "more than 0", seen.stalls > 0)
    worst = round(max(seen.taken_over, default=0.0), 1)
    bar = f"at most {3 * stall.TERM:g}, three terms"
    finding.show("stalls: seconds until another led, at worst", worst, bar, worst <= 3 * stall.TERM)
    writes = seen.writes
    finding.show("stalls: writes of the leader until it stood still", writes, "more than 0", writes > 0)
    finding.zero("stalls: writes of the old epoch", seen.late_writes)
    finding.zero("stalls: clusters made twice", seen.twice)
    finding.faults += seen.faults
    if seen.copied:
        finding.remarks.append(
            f"The ones that had stood still copied {seen.copied} pages of what was committed from the log of SQLite into its "
            "file. That is a checkpoint, which changes nothing; it is no write of an old epoch."
        )
    finding.remarks.append(
        f"{seen.inside} more stalls fell inside a transaction. There SQLite lets nobody else write until the "
        "process goes on, and nobody takes over; PostgreSQL ends such a transaction after a minute."
    )
