"""What is wanted, what was measured, and whether that is met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench import ours, pages, sql, web, writes
from tests.bench.measure import Case, Ratio, compared
from tests.bench.suite import DATABASES, Found

SHORT = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "": ""}
_EXACT = {100_000: 100, 1_000_000: 1000}
"""How many times faster than the best exact SQL the calendar is to be, by reservations."""


@dataclass(frozen=True)
class Goal:
    """One line of the table."""

    name: str
    wanted: str
    measured: str
    met: bool


def goals(found: Found) -> list[Goal]:
    """Every goal that the run has figures for."""
    return [*_reads(found), *_writes(found), *_web(found), *_pages(found)]


def find(found: Found, what: str, design: str, n: int, database: str) -> Case | None:
    """The case of that name, if it was measured."""
    return next(
        (
            case
            for case in found.cases
            if (case.what, case.design, case.n, case.database, case.pools) == (what, design, n, database, 1)
            and case.rounds
        ),
        None,
    )


def _at_most(name: str, bar: float, value: Ratio | None) -> Iterator[Goal]:
    if value is not None:
        yield Goal(name, f"≤ {bar:g}×", str(value), value.value <= bar)


def _at_least(name: str, bar: float, value: Ratio | None) -> Iterator[Goal]:
    if value is not None:
        yield Goal(name, f"≥ {bar:g}×", str(value), value.value >= bar)


def _reads(found: Found) -> Iterator[Goal]:
    sizes = found.plan.sizes
    least, most = sizes[0], sizes[-1]
    for database in DATABASES:
        on = SHORT[database]

        def case(what: str, design: str, n: int = most, database: str = database) -> Case | None:
            return find(found, what, design, n, database)

        mine = ours.OURS
        if most > least:
            flat = compared(case(ours.CALENDAR, mine), case(ours.CALENDAR, mine, least))
            yield from _at_most(f"calendar flat in N, {most:,} against {least:,}, {on}", 1.3, flat)
            cold = compared(case(ours.COLD, mine), case(ours.COLD, mine, least))
            yield from _at_most(f"cold start flat in N, {most:,} against {least:,}, {on}", 1.3, cold)
        for n, bar in _EXACT.items():
            exact = compared(case(ours.CALENDAR, sql.EXACT, n), case(ours.CALENDAR, mine, n))
            yield from _at_least(f"calendar against the best exact SQL at {n:,}, {on}", bar, exact)
        bare = case(ours.CHECK, sql.BARE)
        can_i = compared(case(ours.CAN_I, mine), bare)
        yield from _at_most(f"*can I book* against the bare one-row SELECT, {on}", 1.7, can_i)
        earliest = compared(case(ours.EARLIEST, mine), bare)
        yield from _at_most(f"earliest slot in a year against that SELECT, {on}", 15, earliest)
    engine = compared(
        find(found, ours.ENGINE, ours.OURS, most, "sqlite"),
        find(found, ours.ENGINE, ours.BARE, most, "sqlite"),
    )
    yield from _at_most("engine alone against the bare minimum over the same bytes", 3, engine)


def _writes(found: Found) -> Iterator[Goal]:
    for one in found.writes:
        database = one.rates[0].database
        on, processes = SHORT[database], found.plan.processes
        if database == "postgresql":
            yield from _at_least(
                f"bookings, one pool, {processes} processes, {on}: share of the floor", 0.4, one.share(1)
            )
            name = f"bookings, {writes.POOLS} pools, {processes} processes, {on}: share of the floor"
            yield from _at_least(name, 0.4, one.share(writes.POOLS))
        else:
            yield from _at_least(
                f"bookings, {processes} processes, {on}: share of the floor", 0.7, one.share(1)
            )
            mine = one.rate(True, 1)
            late = mine.percentile(99)
            yield Goal(f"bookings, {on}: 99 of 100 within", "≤ 20 ms", f"{late:.1f} ms", late <= 20)
            yield Goal("*database is locked*", "0", str(mine.locked), mine.locked == 0)
        yield Goal(
            f"moments that are oversold after all that, {on}", "0", str(one.oversold), one.oversold == 0
        )


def _web(found: Found) -> Iterator[Goal]:
    bars = {web.JSON: 2.0, web.UNCHANGED: 1.2, web.COLD: 10.0, web.HTML: 4.0}
    for database in DATABASES:
        kinds = {
            case.design: case for case in found.cases if case.what == web.WHAT and case.database == database
        }
        for design, bar in bars.items():
            value = compared(kinds.get(design), kinds.get(web.PLAIN))
            yield from _at_most(f"CPU of {design} against a plain endpoint, {SHORT[database]}", bar, value)


def _pages(found: Found) -> Iterator[Goal]:
    """The page or list that grows most, and how many grow beyond what is wanted."""
    cases = [case for case in found.cases if case.what == pages.WHAT]
    for database in dict.fromkeys(case.database for case in cases):
        grown = pages.growth(cases, database)
        worst, value = next(iter(grown.items()))
        beyond = sum(one.value > pages.BAR for one in grown.values())
        said = f"`{worst}` {value}; {beyond} of {len(grown)} beyond"
        most = max(case.n for case in cases)
        name = f"every page and list at {most:,} bookings against next to none, {SHORT[database]}"
        yield Goal(name, f"≤ {pages.BAR:g}×", said, beyond == 0)
