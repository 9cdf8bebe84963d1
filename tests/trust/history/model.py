"""What one pool must do, one act after another: the sequential model that recorded answers are held to.

It knows hours and cores and nothing of the product. An act is given with its answer; the model says what
is so afterwards, or that no such answer can be given there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple


class Claim(NamedTuple):
    """Cores over the hours `[start, end)`; `until` is when a hold expires."""

    start: int = 0
    end: int = 0
    cores: int = 0
    shared: bool = False
    until: float = inf


class Op(NamedTuple):
    """One act as its client saw it: when it called, what it was answered, when that came back."""

    act: str
    """book, confirm, cancel, move, look, cut"""
    answer: str
    """ok; again: a replay under its key; no: does not fit; gone: is over; lost: too many lost races"""
    call: float
    back: float
    generation: int
    """Of the pool after what was written, or at which it was decided."""
    wrote: bool
    at: float
    """What the clock said when it was decided."""
    client: int
    pool: str
    booking: str = ""
    claim: Claim = Claim()
    key: str = ""
    given: tuple[int | str, ...] = ()
    """A look: how many fit, by hour. A cut: the bookings that it ended."""


COUNTED = 2
"""The cores of the package that looks ask about."""


@dataclass(frozen=True)
class Model:
    """The state of a pool; `ratio` is its share ratio in thousandths."""

    physical: tuple[int, ...]
    ratio: int = 1000
    claims: Mapping[str, Claim] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    def after(self, op: Op) -> Model | None:
        """The state after that act; None if it cannot be answered so here."""
        live = {name: claim for name, claim in self.claims.items() if claim.until > op.at}
        if op.answer == "lost":
            return self
        if op.act == "look":
            return self if op.given == tuple(max(0, n) // COUNTED for n in self._free(live)) else None
        if op.act == "cut":
            if op.answer == "no":
                return self
            hours = range(op.claim.start, op.claim.end)
            physical = tuple(n + op.claim.cores * (h in hours) for h, n in enumerate(self.physical))
            return replace(self, physical=physical, claims={n: live[n] for n in live if n not in op.given})
        if op.act == "book":
            return self._booked(op, live)
        if op.act == "cancel":
            return replace(self, claims={n: live[n] for n in live if n != op.booking})
        return self._changed(op, live)

    def _booked(self, op: Op, live: dict[str, Claim]) -> Model | None:
        if op.answer == "again" or op.key in self.keys:
            return self if op.answer == "again" and self.keys.get(op.key) == op.booking else None
        if self._fits(live, op.claim) != (op.answer == "ok"):
            return None
        if op.answer == "no":
            return self
        keys = {**self.keys, op.key: op.booking} if op.key else self.keys
        return replace(self, claims={**live, op.booking: op.claim}, keys=keys)

    def _changed(self, op: Op, live: dict[str, Claim]) -> Model | None:
        claim = live.get(op.booking)
        if claim is None or op.answer == "gone":
            return self if claim is None and op.answer == "gone" else None
        if op.act == "confirm":
            return replace(self, claims={**live, op.booking: claim._replace(until=inf)})
        added = claim._replace(start=claim.end, end=op.claim.end)
        if self._fits(live, added) != (op.answer == "ok"):
            return None
        return (
            replace(self, claims={**live, op.booking: claim._replace(end=op.claim.end)})
            if op.answer == "ok"
            else self
        )

    def _fits(self, live: Mapping[str, Claim], claim: Claim) -> bool:
        free = self._free({**live, "": claim})
        return all(free[hour] >= 0 for hour in range(claim.start, claim.end))

    def _free(self, live: Mapping[str, Claim]) -> list[int]:
        reserved, shared = [0] * len(self.physical), [0] * len(self.physical)
        for claim in live.values():
            side = shared if claim.shared else reserved
            for hour in range(claim.start, claim.end):
                side[hour] += claim.cores
        return [
            p - r + -s * 1000 // self.ratio for p, r, s in zip(self.physical, reserved, shared, strict=True)
        ]
