"""The page: what was promised, what was tried, what it showed."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.trust.proof import Figure, Finding, Scale
from tests.trust.proofs import Entry

_SHORTENED = {
    Scale.QUICK: "Every proof was run in its quickest form; `make trust FULL=1` runs them at full length.",
    Scale.SHORT: "The long runs were shortened; `make trust FULL=1` runs them at full length.",
    Scale.FULL: "Every proof was run at full length.",
}


@dataclass(frozen=True)
class Report:
    """One proof, as it went."""

    name: str
    entry: Entry
    finding: Finding
    seconds: float


def page(scale: Scale, seed: int, reports: Sequence[Report]) -> str:
    """The whole page, in Markdown."""
    return "\n".join(_lines(scale, seed, reports)) + "\n"


def _lines(scale: Scale, seed: int, reports: Sequence[Report]) -> Iterable[str]:
    minutes = sum(report.seconds for report in reports) / 60
    yield "# Trust: what was tried, and what it showed"
    yield ""
    yield f"Commit `{_commit()}`, seed {seed}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {minutes:.0f} minutes, "
    yield f"Python {platform.python_version()}, {_cores()} cores. {_SHORTENED[scale]}"
    yield "Every line with a bar was held to it; what is promised, and what is not: [correctness](correctness.md)."
    yield ""
    yield "| proof | result | seconds |"
    yield "|---|---|---:|"
    for report in reports:
        yield f"| [{report.entry.title}](#{report.name}) | {_verdict(report.finding)} | {report.seconds:.0f} |"
    for report in reports:
        yield from _section(report)


def _section(report: Report) -> Iterable[str]:
    finding = report.finding
    yield ""
    yield f'<a id="{report.name}"></a>'
    yield f"## {report.entry.title}"
    yield ""
    yield report.entry.promise
    yield ""
    yield from (f"**FAULT:** {fault}\n" for fault in finding.faults)
    if finding.figures:
        yield "| figure | value | must be |"
        yield "|---|---:|---|"
        yield from (f"| {f.name} | {_value(f)} | {f.bar} |" for f in finding.figures)
    for remark in finding.remarks:
        yield ""
        yield remark


def _verdict(finding: Finding) -> str:
    return "as promised" if finding.ok else "**FAULT**"


def _value(figure: Figure) -> str:
    shown = f"{figure.value:,}" if isinstance(figure.value, int) else str(figure.value)
    return shown if figure.ok else f"**{shown}**"


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def _cores() -> int:
    return len(os.sched_getaffinity(0))
