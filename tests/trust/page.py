"""The page: what was promised, what was tried, what it showed."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.trust.proof import Figure, Finding, Scale
from tests.trust.proofs import PROOFS, Entry

_FORMS = {
    Scale.QUICK: "in its quickest form",
    Scale.SHORT: "shortened",
    Scale.FULL: "at full length",
}


@dataclass(frozen=True)
class Report:
    """One proof, as it went: how much of it, on which commit, and when."""

    name: str
    scale: Scale
    seed: int
    commit: str
    at: str
    seconds: float
    finding: Finding

    @property
    def entry(self) -> Entry:
        return PROOFS[self.name]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_dict(cls, told: dict[str, Any]) -> Report:
        return cls(**told | {"scale": Scale(told["scale"]), "finding": finding_of(told["finding"])})


def finding_of(told: dict[str, Any]) -> Finding:
    """The finding that was kept as plain values."""
    return Finding([Figure(**figure) for figure in told["figures"]], told["faults"], told["remarks"])


def kept(path: Path) -> dict[str, Report]:
    """What an earlier run left beside its page, for long proofs that are run one by one."""
    beside = path.with_suffix(".json")
    told = json.loads(beside.read_text()) if beside.exists() else []
    return {one["name"]: Report.of_dict(one) for one in told if one["name"] in PROOFS}


def keep(path: Path, reports: dict[str, Report]) -> None:
    """Write the page, and beside it what :func:`kept` reads."""
    kept = list(reports.values())
    path.write_text(page(kept))
    path.with_suffix(".json").write_text(json.dumps([report.as_dict() for report in kept], indent=1) + "\n")


def commit() -> str:
    """What is checked out, and whether it was changed since."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def page(reports: Sequence[Report]) -> str:
    """The whole page, in Markdown; proofs stand in the order of the list of proofs."""
    order = list(PROOFS)
    return "\n".join(_lines(sorted(reports, key=lambda report: order.index(report.name)))) + "\n"


def _lines(reports: Sequence[Report]) -> Iterable[str]:
    minutes = sum(report.seconds for report in reports) / 60
    yield "# Trust: what was tried, and what it showed"
    yield ""
    yield f"{len(reports)} of {len(PROOFS)} proofs, {minutes:.0f} minutes, Python {platform.python_version()}, {_cores()} cores."
    yield "`make trust` runs every proof in half an hour, shortened; `make trust FULL=1` at full length, which takes hours."
    yield "Every line with a bar was held to it; what is promised, and what is not: [correctness](correctness.md)."
    yield ""
    yield "| proof | result | run | seed | commit | when (UTC) | seconds |"
    yield "|---|---|---|---:|---|---|---:|"
    for report in reports:
        yield (
            f"| [{report.entry.title}](#{report.name}) | {_verdict(report.finding)} | {_FORMS[report.scale]} "
            f"| {report.seed} | `{report.commit}` | {report.at} | {report.seconds:.0f} |"
        )
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


def _cores() -> int:
    return len(os.sched_getaffinity(0))
