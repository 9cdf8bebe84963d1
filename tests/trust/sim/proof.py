"""The simulator as a proof: many seeds on the code as it is, fates aimed at what was not hit, replays."""

from __future__ import annotations

from dataclasses import dataclass

from tests.trust.proof import Finding, Scale
from tests.trust.sim.crew import run, share
from tests.trust.sim.points import aimed, not_hit, on_the_path, share_hit, transactions
from tests.trust.sim.report import Report

PROMISE = (
    "Whatever is killed, stalled or lost, at any door: no hour is oversold, nothing that was promised is lost, "
    "nothing stays behind outside."
)


@dataclass(frozen=True)
class Size:
    """How many seeds of which kind."""

    drawn: int
    aimed: int
    """Rounds of so many seeds are sent where fates are missing."""
    rounds: int
    replayed: int


SIZES = {
    Scale.QUICK: Size(2, 0, 0, 1),
    Scale.SHORT: Size(200, 16, 3, 20),
    Scale.FULL: Size(25_000, 200, 5, 1_000),
}
_TOLD = {
    "answers lost": "answers of the outside lost",
    "landed late": "clusters made after their call had failed",
    "looked stale": "looks at one cluster that showed the past",
    "listed stale": "lists of the outside that showed the past",
    "answered 429": "calls answered 429",
    "answered 500": "calls answered 500",
}
_SHOWN = 5


def prove(scale: Scale, seed: int) -> Finding:
    """Run the seeds from that one on."""
    size, report = SIZES[scale], Report()
    report.add(share(run, [(number, ()) for number in range(seed, seed + size.drawn)]))
    for round_ in range(size.rounds):
        first = seed + size.drawn + round_ * size.aimed
        report.add(share(run, aimed(not_hit(report.points), range(first, first + size.aimed))))
    again = Report()
    step = max(size.drawn // size.replayed, 1)
    again.add(share(run, [(number, ()) for number in range(seed, seed + size.drawn, step)]))
    return judged(scale, report, again)


def judged(scale: Scale, report: Report, again: Report) -> Finding:
    """What came of all seeds, and of those that were run again."""
    finding = Finding()
    _judge(finding, report)
    _judge_points(finding, report, scale)
    _judge_replays(finding, report, again)
    finding.remarks += list(_remarks(scale, report))
    return finding


def _judge(finding: Finding, report: Report) -> None:
    finding.show("seeds", report.seeds)
    finding.show("simulated hours", round(report.hours))
    finding.show("doors passed", report.counts["steps"])
    finding.show("commits, each followed by the whole audit", report.counts["commits"])
    for fate, times in report.fates.items():
        if fate != "continue":
            finding.show(f"doors that met: {fate}", times)
    for name, told in _TOLD.items():
        finding.show(told, report.counts[name])
    finding.zero("violations of an invariant", len(report.violations))
    for violation in sorted(report.violations, key=lambda told: told["seed"])[:_SHOWN]:
        finding.faults.append(
            f"seed {violation['seed']} (aims {violation['aims']}): {violation['invariant']}: {violation['detail']}"
        )


def _judge_points(finding: Finding, report: Report, scale: Scale) -> None:
    """All points at full length, in the short form those of the path of a promise."""
    missing = not_hit(report.points)
    finding.show("crash points by name", len({name for name, _ in report.points}))
    finding.show("of them with each fate, met", f"{share_hit(report.points):.1f} %")
    if scale is Scale.QUICK:
        return
    wanted = missing if scale is Scale.FULL else [aim for aim in missing if on_the_path(aim[0])]
    where = "crash points" if scale is Scale.FULL else "crash points on the path of a promise"
    finding.zero(f"{where} that missed a kill, a stall or a lost answer", len(wanted))
    if missing:
        finding.remarks.append("Not met: " + ", ".join(f"{name} {fate}" for name, fate in missing) + ".")


def _judge_replays(finding: Finding, report: Report, again: Report) -> None:
    differ = [seed for seed, trace in again.traces.items() if report.traces[seed] != trace]
    finding.show("seeds run twice, each time in another process", again.seeds)
    finding.zero("of them with another trace", len(differ))
    if differ:
        finding.faults.append(f"seeds that are not repeatable: {differ[:_SHOWN]}")


def _remarks(scale: Scale, report: Report) -> list[str]:
    passed = {name.split(":")[1].removesuffix(" (rehearsed)") for name, _ in report.points if ":" in name}
    remarks = [
        "Transactions of the services that no simulated client asks for: "
        + ", ".join(sorted(transactions() - passed))
        + "."
    ]
    if scale is not Scale.FULL:
        full = SIZES[Scale.FULL]
        remarks.append(f"Shortened: {full.drawn:,} seeds and {full.replayed:,} replays at full length.")
    return remarks
