"""What was found, as Markdown: the goals, and a table for each question."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np

from tests.bench import ours, servers, web
from tests.bench.conduct import Conduct
from tests.bench.field import MADE
from tests.bench.goals import SHORT, Goal, goals
from tests.bench.measure import Case
from tests.bench.suite import Found
from tests.bench.writes import Writes

BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
_QUESTIONS = (ours.CALENDAR, ours.CAN_I, ours.EARLIEST, ours.COLD, ours.CHECK, ours.ENGINE, MADE)


def page(found: Found) -> str:
    """Everything measured."""
    return "\n".join(_lines(found)) + "\n"


def put_in(text: str, measured: str) -> str:
    """The text of a page with what was measured in its place.

    :raises ValueError: if the page has no place for it.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{measured}\n{END}{after}"


def _lines(found: Found) -> Iterator[str]:
    yield from _circumstances(found)
    yield ""
    yield "### Goals"
    yield ""
    yield from _goal_table(goals(found))
    sizes = found.plan.sizes
    for question in _QUESTIONS:
        cases = [case for case in found.cases if case.what == question and case.rounds and case.pools == 1]
        if cases:
            yield ""
            yield from _question(question, cases, sizes)
    yield from _pools([case for case in found.cases if case.what == ours.SPREAD])
    yield from _writes(found.writes)
    yield from _web([case for case in found.cases if case.what == web.WHAT])
    yield from _servers([case for case in found.cases if case.what in (servers.COST, servers.WAIT)])
    yield from _conducts(found.conducts)


def _circumstances(found: Found) -> Iterator[str]:
    plan, loads = found.plan, ", ".join(f"{load:.1f}" for load in found.load)
    sizes = ", ".join(f"{n:,}" for n in plan.sizes)
    yield (
        f"Commit `{found.commit}`, {plan.today}; N = {sizes}, seed {plan.seed}, {plan.rounds} rounds, "
        f"{found.seconds / 60:.1f} minutes. {_processor()}, {len(os.sched_getaffinity(0))} cores; Python "
        f"{platform.python_version()}, numpy {np.__version__}, SQLite {sqlite3.sqlite_version}, PostgreSQL 18 "
        f"over a Unix socket. The load average before each part and at the end was {loads}: on two cores, "
        "anything above 2 means that other work was waiting for them, too."
    )


def _goal_table(found: Sequence[Goal]) -> Iterator[str]:
    yield "Ratios are the median of the rounds; their range, and the ratio of the quickest calls, in brackets."
    yield ""
    yield "| goal | wanted | measured | |"
    yield "|---|---|---:|---|"
    for goal in found:
        yield f"| {goal.name} | {goal.wanted} | {goal.measured} | {'met' if goal.met else '**not met**'} |"


def _question(question: str, cases: Sequence[Case], sizes: Sequence[int]) -> Iterator[str]:
    columns = sorted({case.n for case in cases} | set(sizes))
    mine = {(c.database, c.n): c.middle for c in cases if c.design == ours.OURS}
    yield f"### {question[0].upper()}{question[1:]}"
    yield ""
    yield "| design | " + " | ".join(f"N = {n:,}" for n in columns) + " | × ours | wrong |"
    yield "|---|" + "---:|" * (len(columns) + 2)
    designs = dict.fromkeys((case.design, case.database) for case in cases)
    for design, database in designs:
        row = {case.n: case for case in cases if (case.design, case.database) == (design, database)}
        last = row[max(row)]
        against = mine.get((database or "sqlite", last.n))
        times = f"{last.middle / against:.3g}" if against and design != ours.OURS else ""
        cells = " | ".join(_time(row[n]) if n in row else "–" for n in columns)
        name = f"**{design}**" if design == ours.OURS else design
        note = f" ({last.note})" if last.note else ""
        yield f"| {name}{note}{', ' if database else ''}{SHORT[database]} | {cells} | {times} | {_wrong(row)} |"


def _wrong(row: dict[int, Case]) -> str:
    counts = [str(case.wrong) for _, case in sorted(row.items())]
    return " / ".join(counts) if any(case.wrong for case in row.values()) else "0"


def _time(case: Case) -> str:
    return f"{_micros(case.middle)} ({_micros(min(case.micros))})"


def _micros(value: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} µs"


def _pools(cases: Sequence[Case]) -> Iterator[str]:
    if not cases:
        return
    yield ""
    yield "### The same reservations in more pools"
    yield ""
    yield f"N = {cases[0].n:,} on SQLite; every call asks for another pool."
    yield ""
    yield "| pools | calendar |"
    yield "|---:|---:|"
    for case in cases:
        yield f"| {case.pools:,} | {_time(case)} |"


def _writes(found: Sequence[Writes]) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield "### Bookings a second"
    yield ""
    yield "| what | pools | a second: median (rounds) | p50 | p99 | refused | locked |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for rate in (rate for one in found for rate in one.rates):
        rounds = ", ".join(f"{value:.0f}" for value in rate.rounds)
        name = "**booking**" if rate.design == "booking" else rate.design
        yield (
            f"| {name}, {SHORT[rate.database]}, {rate.processes} processes | {rate.pools} | "
            f"{rate.middle:.0f} ({rounds}) | {rate.percentile(50):.2g} ms | {rate.percentile(99):.3g} ms | "
            f"{rate.refused} | {rate.locked} |"
        )


def _web(cases: Sequence[Case]) -> Iterator[str]:
    if not cases:
        return
    yield ""
    yield "### CPU of a request"
    yield ""
    yield "| request | database | CPU: median (least) | × plain |"
    yield "|---|---|---:|---:|"
    plain = {case.database: case.middle for case in cases if case.design == web.PLAIN}
    for case in cases:
        times = f"{case.middle / plain[case.database]:.3g}"
        yield f"| {case.design} | {SHORT[case.database]} | {_time(case)} | {times} |"


def _servers(cases: Sequence[Case]) -> Iterator[str]:
    if not cases:
        return
    yield ""
    yield "### The same application under other web servers"
    yield ""
    yield "| server: request | CPU: median (least) | answered after: median (least) |"
    yield "|---|---:|---:|"
    waits = {case.design: case for case in cases if case.what == servers.WAIT}
    for case in cases:
        if case.what == servers.COST:
            yield f"| {case.design} | {_time(case)} | {_time(waits[case.design])} |"


def _conducts(found: Sequence[Conduct]) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield "### What web servers do by themselves"
    yield ""
    yield "| | " + " | ".join(one.server for one in found) + " |"
    yield "|---" * (len(found) + 1) + "|"
    for trial in found[0].seen:
        yield f"| {trial} | " + " | ".join(str(one.seen[trial]) for one in found) + " |"


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
