"""Oversold hours, counted minute by minute from the rows; shares nothing with the product but the tables."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

_POOLS = text("SELECT id, name, share_ratio_milli, cores FROM pool")
_PHYSICAL = text(
    """SELECT pool_id, start, "end", cores FROM inventory
    UNION ALL SELECT pool_id, start, "end", -cores FROM blackout"""
)
_CLAIMS = text(
    """SELECT r.pool_id, r.start, r."end", b.side, b.notebook_cores + b.worker_cores * b.worker_count
    FROM reservation r JOIN booking b ON b.id = r.booking_id
    WHERE r.state IN ('held', 'confirmed', 'preparing', 'active', 'ending') AND NOT r.at_risk"""
)


def oversold_hours(session: Session, first: int, hours: int) -> Counter[str]:
    """By pool, the hours from minute `first` on in which a minute is promised twice.

    What a cut of capacity has flagged is left out: its owners were told.
    """
    length = hours * 60
    sums: defaultdict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(length, dtype=np.int64))

    def put(pool: str, side: str, start: int, end: int, cores: int) -> None:
        sums[pool, side][max(0, start - first) : max(0, end - first)] += cores

    for pool, start, end, cores in session.execute(_PHYSICAL):
        put(pool, "physical", start, end, cores)
    for pool, start, end, side, cores in session.execute(_CLAIMS):
        put(pool, side, start, end, cores)
    found: Counter[str] = Counter()
    for pool, name, ratio, reserve in session.execute(_POOLS):
        reserved, shared = sums[pool, "reserved"], sums[pool, "shared"]
        taken = reserve + reserved + -(-shared * 1000 // ratio)
        short = (taken > sums[pool, "physical"]) & (reserved + shared > 0)
        found[name] += int(short.reshape(hours, 60).any(axis=1).sum())
    return found
