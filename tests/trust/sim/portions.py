"""Portions: a long proof in several runs, kept in a file one by one and added up, each with its commit."""

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
from tests.trust.sim.crew import run, share
from tests.trust.sim.points import aimed, not_hit
from tests.trust.sim.proof import SIZES, judged
from tests.trust.sim.report import Report

_FULL = SIZES[Scale.FULL]
_STEP = _FULL.drawn // _FULL.replayed
"""Every so many seeds one is run twice, as at full length."""


@dataclass(frozen=True)
class Portion:
    """What the seeds `[first, first + seeds)` showed on one commit, with some more that were aimed."""

    first: int
    seeds: int
    aimed: int
    commit: str
    at: str
    """When it began, in UTC."""
    seconds: float
    hours: float
    counts: dict[str, int]
    points: list[tuple[str, str, int]]
    """Name, fate, and how often it was met."""
    violations: list[dict[str, Any]]
    replayed: dict[str, tuple[str, str]]
    """By seed: its trace, and its trace when it was run again."""


def kept(path: Path) -> list[Portion]:
    """The portions of a file; none where there is no file."""
    return [Portion(**told) for told in json.loads(path.read_text())] if path.exists() else []


def run_portion(path: Path, first: int, seeds: int, more: int) -> Portion:
    """Run the seeds, and `more` aimed at what no portion has met so far, and add the portion to the file.

    :raises ValueError: if one of the seeds is in the file already: it would count twice.
    """
    others = kept(path)
    for other in others:
        if first < other.first + other.seeds and other.first < first + seeds:
            raise ValueError(f"seeds {other.first} to {other.first + other.seeds - 1} have been run before")
    began, at, on = time.monotonic(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}", page.commit()
    report, again, last = Report(), Report(), first + seeds
    report.add(share(run, [(seed, ()) for seed in range(first, last)]))
    missing = not_hit(added(others)[0].points + report.points)
    report.add(share(run, aimed(missing, range(last, last + more))))
    twice = range(-(-first // _STEP) * _STEP, last, _STEP)
    again.add(share(run, [(seed, ()) for seed in twice]))
    portion = Portion(
        first,
        seeds,
        report.seeds - seeds,
        on,
        at,
        time.monotonic() - began,
        report.hours,
        dict(report.counts),
        [(name, fate, times) for (name, fate), times in sorted(report.points.items())],
        report.violations,
        {str(seed): (report.traces[seed], trace) for seed, trace in sorted(again.traces.items())},
    )
    told = [asdict(one) for one in sorted([*kept(path), portion], key=lambda one: one.first)]
    path.write_text(json.dumps(told) + "\n")
    return portion


def added(portions: Sequence[Portion]) -> tuple[Report, Report]:
    """The sum of all that was run, and of what was run again."""
    report, again = Report(), Report()
    for portion in portions:
        report.seeds += portion.seeds + portion.aimed
        report.hours += portion.hours
        report.counts.update(portion.counts)
        report.points.update(Counter({(name, fate): times for name, fate, times in portion.points}))
        report.violations += portion.violations
        report.traces |= {int(seed): traces[0] for seed, traces in portion.replayed.items()}
        again.traces |= {int(seed): traces[1] for seed, traces in portion.replayed.items()}
    again.seeds = len(again.traces)
    return report, again


def told(portions: Sequence[Portion]) -> page.Report:
    """The sum as the page shows it: at full length only if there are as many seeds and replays."""
    report, again = added(portions)
    drawn = sum(portion.seeds for portion in portions)
    whole = drawn >= _FULL.drawn and again.seeds >= _FULL.replayed
    scale = Scale.FULL if whole else Scale.SHORT
    finding = judged(scale, report, again)
    finding.remarks.append(_table(portions))
    commits = ", ".join(sorted({portion.commit for portion in portions}))
    seconds = sum(portion.seconds for portion in portions)
    first, at = min(p.first for p in portions), max(p.at for p in portions)
    return page.Report("simulator", scale, first, commits, at, seconds, finding)


def put(path: Path, on: Path) -> Finding:
    """Put the sum of a file's portions on a page, in the place of what that said of the simulator."""
    reports = page.kept(on)
    report = reports["simulator"] = told(kept(path))
    page.keep(on, reports)
    return report.finding


def _table(portions: Sequence[Portion]) -> str:
    rows = [
        f"| {p.first:,} to {p.first + p.seeds - 1:,} | {p.aimed} | {len(p.replayed)} | `{p.commit}` | {p.at} "
        f"| {p.seconds:.0f} |"
        for p in portions
    ]
    head = "| seeds | aimed | run twice | commit | when (UTC) | seconds |"
    return "\n".join(
        ["Run in portions, each on its own commit:", "", head, "|---|---:|---:|---|---|---:|", *rows]
    )
