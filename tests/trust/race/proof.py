"""The race as a proof, on both kinds of database, with the controls that show that it would notice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.allocator.span import minute_of
from booking.models import Booking
from booking.services import verify
from tests.trust.history.witness import unexplained
from tests.trust.proof import Finding, Scale
from tests.trust.race.client import HEATED
from tests.trust.race.course import CLIENTS, KINDS, Outcome, Plan, databases, models, race
from tests.trust.race.plants import Plant
from tests.trust.race.sweep import oversold_hours
from tests.trust.race.track import ALTERNATIVES, Scene, entered, prepared, scene

PROMISE = (
    "However many ask at once, no hour is promised twice; what was answered is kept, and one key makes one "
    "booking. Without the lock the database itself refuses; without both, this very race oversells."
)


@dataclass(frozen=True)
class Length:
    """How much of a race: of each client in each round, and of each control."""

    rounds: int
    attempts: int
    seconds: float
    """After which a round ends, however many attempts it was."""
    control: int
    """Attempts of each client in one lap of a control."""
    least: int
    """Attempts on each kind of database, of all clients in all rounds, below which it is no proof."""
    clients: int = CLIENTS


LENGTHS = {
    Scale.QUICK: Length(1, 20, math.inf, 15, 80, clients=4),
    Scale.SHORT: Length(1, 100_000, 30, 40, 500),
    Scale.FULL: Length(32, 4000, math.inf, 400, 1_000_000),
}
MOST_LAPS = 9
"""How often a control is tried before it counts as having shown nothing."""


@dataclass
class Ran:
    """What some rounds on one kind of database brought back; the first of all rounds brings the controls too."""

    kind: str
    tally: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)


def prove(scale: Scale, seed: int) -> Finding:
    length = LENGTHS[scale]
    return judged(scale, [run_rounds(kind, range(length.rounds), length, seed) for kind in KINDS])


def judged(scale: Scale, ran: Sequence[Ran]) -> Finding:
    """What the rounds say together, for each kind of database."""
    finding, length = Finding(), LENGTHS[scale]
    for one in ran:
        _show(finding, one, length)
    finding.remarks.append(
        f"{length.clients} processes on the real services and doors: book, hold, confirm, extend, shorten, "
        "cancel, expiry of holds, cuts of capacity, rehearsals, repeats under a key that others use at the "
        "same time. Oversold hours are counted minute by minute from the rows, during the race and after it; "
        f"what a cut has flagged as at risk is left out. One refusal in {ALTERNATIVES} also searches "
        "alternatives."
    )
    if scale is not Scale.FULL:
        finding.remarks.append("Shortened by time; at full length it is at least 1,000,000 attempts on each.")
    return finding


def run_rounds(kind: str, rounds: Sequence[int], length: Length, seed: int) -> Ran:
    """Run the rounds of those numbers, each on a database of its own."""
    ran = Ran(kind)
    with databases(kind) as new:
        for number in rounds:
            with new() as url:
                where = scene()
                people = prepared(url, where, CLIENTS)
                plan = Plan(url, people, where, seed * 1000 + number, length.attempts)
                plan = replace(
                    plan,
                    seconds=length.seconds,
                    least=-(-length.least // length.clients),
                    clients=length.clients,
                )
                outcome = race(plan)
                ran.tally += outcome.counts
                ran.faults += outcome.errors
                _judge(plan, outcome, ran.tally, ran.faults)
                if number == 0:
                    ran.controls = [
                        _control(plan, plant, lap + 1, length) for lap, plant in enumerate(CONTROLS)
                    ]
    return ran


def _show(finding: Finding, ran: Ran, length: Length) -> None:
    kind, tally = ran.kind, Counter(ran.tally)
    attempts = tally["attempts"]
    finding.show(f"{kind}: attempts", attempts, f"at least {length.least:,}", attempts >= length.least)
    for name in ("granted", "refused", "over already", "repeated under a key", "too many lost races"):
        finding.show(f"{kind}: answers, {name}", tally[f"answered {_ANSWERS[name]}"])
    tally["acts decided on an older state, which the lock should have made wait"] = sum(
        count for name, count in tally.items() if name.startswith(NEEDLESS)
    )
    for name in JUDGED:
        finding.zero(f"{kind}: {name}", tally[name])
    for control in ran.controls:
        control.show(finding, kind)
    finding.faults += [f"{kind}: {fault}" for fault in ran.faults[:10]]


_ANSWERS = {
    "granted": "ok",
    "refused": "no",
    "over already": "gone",
    "repeated under a key": "again",
    "too many lost races": "lost",
}
JUDGED = (
    "oversold hours",
    "oversold hours seen meanwhile",
    "differences found by booking verify",
    "keys with more than one booking",
    "answered bookings that are not there",
    "answers that no order explains",
    "acts decided on an older state, which the lock should have made wait",
    "errors",
)
NEEDLESS = tuple(
    f"refused: {cause}" for cause in ("Stale", "Unique", "SQLITE_BUSY_SNAPSHOT", "SQLITE_CONSTRAINT")
)
"""Refusals by the database that nobody meets as long as there is the lock; to wait for it too long is none."""


def _judge(plan: Plan, outcome: Outcome, tally: Counter[str], faults: list[str]) -> None:
    """Add what is wrong with what the race left behind."""
    with entered(plan.url, Plant.NONE) as ctx:
        differences = verify.differences(ctx)
        kept, doubled = ctx.db.read("bookings", _booked)
        tally["oversold hours"] += _oversold(ctx, plan.scene)
    answered = {op.booking for op in outcome.ops if op.act == "book" and op.answer in ("ok", "again")}
    wrong = unexplained(outcome.ops, models(plan.scene))
    tally["oversold hours seen meanwhile"] += outcome.counts["oversold hours seen"]
    tally["differences found by booking verify"] += len(differences)
    tally["keys with more than one booking"] += doubled
    tally["answered bookings that are not there"] += len(answered - kept)
    tally["answers that no order explains"] += len(wrong)
    faults += differences + wrong


def _oversold(ctx: Any, where: Scene) -> int:
    first = minute_of(where.base)
    found: Counter[str] = ctx.db.read("sweep", lambda session: oversold_hours(session, first, where.hours))
    return found.total()


def _booked(session: Session) -> tuple[set[str], int]:
    """The ids of all bookings; how many keys, which are titles here, have several."""
    titles = select(Booking.title).where(Booking.title != "").group_by(Booking.title).having(func.count() > 1)
    return set(session.scalars(select(Booking.id))), len(session.scalars(titles).all())


@dataclass
class Control:
    """What the race showed when something was taken away."""

    plant: Plant
    oversold: int = 0
    refused: int = 0
    attempts: int = 0

    @property
    def shown(self) -> bool:
        return self.oversold > 0 if self.plant is Plant.UNREFUSED else self.refused > 0

    def show(self, finding: Finding, kind: str) -> None:
        said = f"{kind}, control without {self.plant}"
        if self.plant is Plant.UNREFUSED:
            finding.show(f"{said}: oversold hours", self.oversold, "more than 0", self.shown)
            return
        finding.zero(f"{said}: oversold hours", self.oversold)
        finding.show(f"{said}: refused by the database", self.refused, "more than 0", self.shown)


CONTROLS: Sequence[Plant] = (Plant.STALE, Plant.UNLOCKED, Plant.UNREFUSED)
"""The last one leaves a database that is wrong."""


def _control(plan: Plan, plant: Plant, day: int, length: Length) -> Control:
    control = Control(plant)
    for lap in range(MOST_LAPS):
        where = plan.scene.tight(day * 10 + lap)
        lap_plan = replace(plan, scene=where, plant=plant, mixture=HEATED, attempts=length.control)
        outcome = race(replace(lap_plan, seconds=math.inf))
        control.attempts += outcome.counts["attempts"]
        control.refused += outcome.counts["refused by the database"]
        with entered(plan.url, Plant.NONE) as ctx:
            control.oversold += _oversold(ctx, where)
        if control.shown:
            break
    return control
