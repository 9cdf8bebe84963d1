"""What every page and list costs on a large site, beside the same on one where there is next to nothing.

The applications run in this process and are asked in turn; of each answer the CPU time counts, which other work
on the machine hardly changes, and nothing that was drawn before is kept from one to the next. The CPU of
PostgreSQL is not in it.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import URL

from booking.identity import SHELF_BYTES
from booking.services.shelf import Shelf
from tests.bench.measure import Case, Ratio, Timer, compared, interleaved
from tests.speed.asking import Asking, Crowded, askings, crowded
from tests.speed.crowd import FULL, Size, count

WHAT = "CPU of a page or list"
EMPTY = Size(accounts=3, bookings=4, pools=1, own=1)
"""Somebody who asks, one pool, and one of everything else, so that every address is there."""
QUICK = Size(accounts=100, bookings=400, pools=10, own=20)
BAR = 3.0
_ONE_POOL = "pool-001"
"""Only the large site has it."""


def measure(urls: tuple[URL, URL], folder: Path, size: Size, rounds: int, calls: int) -> list[Case]:
    """Every page and list on two migrated databases, of which the first stays nearly empty."""
    with ExitStack() as stack:
        sites = []
        for name, url, of in (("empty", urls[0], EMPTY), ("large", urls[1], size)):
            text = url.render_as_string(hide_password=False)
            sites.append((stack.enter_context(crowded(text, folder / name, of)), of.bookings))
            count(sites[-1][0].ctx)
        cases = [
            Case(WHAT, asking.name, many, urls[0].get_backend_name(), _timer(site, asking), calls)
            for asking in askings()
            if _ONE_POOL not in asking.name
            for site, many in sites
        ]
        interleaved(cases, rounds)
    return cases


def _timer(site: Crowded, asking: Asking) -> Timer:
    def time_it(calls: int) -> list[float]:
        micros = []
        for _ in range(calls):
            site.app.extensions["booking.shelf"] = Shelf(SHELF_BYTES)
            before = time.process_time()
            site.ask(asking.path)
            micros.append((time.process_time() - before) * 1e6)
        return micros

    return time_it


def growth(cases: list[Case], database: str) -> dict[str, Ratio]:
    """How many times more each page or list costs on the large site, by its name, the worst first."""
    found: dict[str, Ratio] = {}
    for name in dict.fromkeys(case.design for case in cases):
        few, many = sorted(
            (case for case in cases if (case.design, case.database) == (name, database)),
            key=lambda one: one.n,
        )
        value = compared(many, few)
        assert value is not None
        found[name] = value
    return dict(sorted(found.items(), key=lambda entry: -entry[1].value))


__all__ = ["BAR", "FULL", "QUICK", "WHAT", "growth", "measure"]
