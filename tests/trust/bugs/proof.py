"""The planted bugs as a proof: each mistake that we put into the code is seen by the simulator."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from tests.trust.bugs.garden import BUGS, FILES
from tests.trust.bugs.hunting import Catch, hunt
from tests.trust.proof import Finding, Scale
from tests.trust.sim.crew import share

PROMISE = "Each mistake that is planted in a copy of the code is caught by the simulator."
MOST_SEEDS = 300
RECORD = Path(__file__).with_name("caught.json")
_NEAR = {Scale.QUICK: 2, Scale.SHORT: 4}
"""In how many seeds from the recorded one a bug is caught again."""
_AGAIN = {Scale.QUICK: 12, Scale.SHORT: 40}
"""How many seeds from the first are tried where the record is out of date."""


def recorded() -> dict[str, int]:
    """By bug: the seed at which it was caught when all were hunted from the first seed on."""
    return {name: int(catch["seed"]) for name, catch in json.loads(RECORD.read_text()).items()}


def prove(scale: Scale, _seed: int) -> Finding:
    """Hunt all bugs; the quick form hunts four."""
    known = [name for name in BUGS if name in recorded()]
    names = known[:: len(known) // 4] if scale is Scale.QUICK else list(BUGS)
    return told(list(share(partial(_hunted, scale), names)), scale)


def _hunted(scale: Scale, name: str) -> Catch:
    if scale is Scale.FULL:
        return hunt(name, MOST_SEEDS)
    near = hunt(name, _NEAR[scale], recorded().get(name, 0))
    return near if near.violation is not None else hunt(name, _AGAIN[scale])


def told(catches: list[Catch], scale: Scale) -> Finding:
    """What came of a hunt; a bug that was not caught is a fault of the simulator."""
    finding = Finding()
    missed = [catch.bug for catch in catches if catch.violation is None]
    finding.show("planted bugs", len(catches))
    for module in FILES:
        of_kind = [catch for catch in catches if BUGS[catch.bug].plant.__module__ == module.__name__]
        kind = (module.__doc__ or "").split(":")[0].lower()
        if of_kind:
            finding.show(f"{kind}: caught", sum(catch.violation is not None for catch in of_kind))
            finding.zero(f"{kind}: not caught", sum(catch.violation is None for catch in of_kind))
    finding.faults += [f"not caught: {name}" for name in missed]
    if scale is not Scale.FULL:
        finding.remarks.append(
            "Each bug was hunted from the seed at which it was caught before; at full length all are hunted "
            f"from the first seed on, through {MOST_SEEDS} seeds at most."
        )
    finding.remarks.append(_table(catches))
    return finding


def _table(catches: list[Catch]) -> str:
    rows = [
        f"| {catch.bug} | {catch.seed} | {catch.violation.invariant} |"
        for catch in sorted(catches, key=lambda catch: catch.bug)
        if catch.violation is not None
    ]
    return "\n".join(["| bug | seed | the invariant that caught it |", "|---|---:|---|", *rows])
