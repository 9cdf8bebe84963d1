"""Portions of the race: rounds that were run at several times, kept in a file and added up, each with its commit."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.trust import page
from tests.trust.proof import Finding, Scale
from tests.trust.race.course import KINDS
from tests.trust.race.plants import Plant
from tests.trust.race.proof import LENGTHS, Control, Length, Ran, judged, run_rounds

FULL = LENGTHS[Scale.FULL]


@dataclass(frozen=True)
class Portion:
    """What one round showed on one commit."""

    kind: str
    """Of database."""
    number: int
    """Of the round; the first one, 0, has the controls."""
    commit: str
    at: str
    """When it began, in UTC."""
    seconds: float
    tally: dict[str, int]
    faults: list[str]
    controls: list[dict[str, Any]]


def kept(path: Path) -> list[Portion]:
    """The portions of a file; none where there is no file."""
    return [Portion(**told) for told in json.loads(path.read_text())] if path.exists() else []


def run_portion(path: Path, kind: str, number: int, length: Length = FULL) -> Portion:
    """Run one round and add it to the file.

    :raises ValueError: if it is in the file already: it would count twice.
    """
    if any((one.kind, one.number) == (kind, number) for one in kept(path)):
        raise ValueError(f"round {number} on {kind} has been run before")
    began, at, on = time.monotonic(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}", page.commit()
    ran = run_rounds(kind, [number], length, 0)
    seconds = round(time.monotonic() - began, 1)
    controls = [asdict(control) for control in ran.controls]
    portion = Portion(kind, number, on, at, seconds, dict(ran.tally), ran.faults, controls)
    told = sorted([*kept(path), portion], key=lambda one: (one.kind, one.number))
    path.write_text(json.dumps([asdict(one) for one in told], indent=1) + "\n")
    return portion


def missing(path: Path) -> list[tuple[str, int]]:
    """The rounds that the full length still lacks, in turn of both kinds."""
    known = {(one.kind, one.number) for one in kept(path)}
    return [one for number in range(FULL.rounds) for kind in KINDS if (one := (kind, number)) not in known]


def added(portions: Sequence[Portion]) -> list[Ran]:
    """The sum of all rounds, for each kind."""
    sums = {kind: Ran(kind) for kind in KINDS}
    for portion in portions:
        ran = sums[portion.kind]
        ran.tally.update(portion.tally)
        ran.faults += portion.faults
        ran.controls += [Control(**{**told, "plant": Plant(told["plant"])}) for told in portion.controls]
    return list(sums.values())


def told(portions: Sequence[Portion]) -> page.Report:
    """The sum as the page shows it: at full length only if there are as many attempts on each kind."""
    sums = added(portions)
    whole = all(ran.tally["attempts"] >= FULL.least and ran.controls for ran in sums)
    scale = Scale.FULL if whole else Scale.SHORT
    finding = judged(scale, sums)
    by_commit = Counter((portion.commit, portion.kind) for portion in portions)
    rounds = ", ".join(
        f"{many} on {kind} at `{commit}`" for (commit, kind), many in sorted(by_commit.items())
    )
    finding.remarks.append(
        f"Run in rounds at several times, each of {FULL.clients * FULL.attempts:,} attempts: {rounds}."
    )
    commits = ", ".join(sorted({portion.commit for portion in portions}))
    at, seconds = max(p.at for p in portions), sum(p.seconds for p in portions)
    return page.Report("race", scale, 0, commits, at, seconds, finding)


def put(path: Path, on: Path) -> Finding:
    """Put the sum of a file's portions on a page, in the place of what that said of the race."""
    reports = page.kept(on)
    report = reports["race"] = told(kept(path))
    page.keep(on, reports)
    return report.finding
