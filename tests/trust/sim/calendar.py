"""What the calendar must say, counted anew from the rows by trying one more until it no longer fits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from booking.services.availability import Answer
from tests.trust.sim.rows import Claim, PoolRow, Rows

_CELLS = 4
"""How many cells of an answer are counted anew."""


def wrong_cells(rows: Rows, answer: Answer, now: int, micros: int) -> Iterator[str]:
    """The first cells that have not begun, for each package; `now` is in minutes, `micros` the same exactly."""
    pool = next(pool for pool in rows.pools if pool.id == answer.pool.id)
    claims = rows.claims(pool.id, flagged=True, now=micros)
    cells = [(index, cell) for index, cell in enumerate(pairwise(answer.edges)) if cell[0] > now][:_CELLS]
    for row in answer.rows:
        size = (row.package.demand.cores, row.package.demand.memory_mib)
        for index, (start, end) in cells:
            said = row.count[index]
            one = Claim(start, end, answer.sharing.value, size)
            if said and not _fit(rows, pool, claims, one, said):
                yield f"{said} of {row.package.name} do not fit from minute {start} to {end}"
            if _fit(rows, pool, claims, one, said + 1):
                yield f"more than {said} of {row.package.name} fit from minute {start} to {end}"


def _fit(rows: Rows, pool: PoolRow, claims: list[Claim], one: Claim, times: int) -> bool:
    wanted = [one._replace(size=(one.size[0] * times, one.size[1] * times))]
    return rows.short(pool, [*claims, *wanted], (one.start, one.end)) is None
