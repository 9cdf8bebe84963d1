"""The witness check: the generation that an answer carries says where it stands in the one true order.

Sorted by it, the answers must agree with real time and with the sequential model. O(n log n).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import groupby
from math import inf

from tests.trust.history.model import Model, Op


def unexplained(ops: Iterable[Op], pools: Mapping[str, Model]) -> list[str]:
    """One sentence for each answer that does not stand in order; at most one for each pool."""
    by_pool: defaultdict[str, list[Op]] = defaultdict(list)
    for op in ops:
        by_pool[op.pool].append(op)
    found = (_first_fault(by_pool[name], pools[name]) for name in sorted(by_pool))
    return [fault for fault in found if fault is not None]


def _first_fault(ops: list[Op], model: Model) -> str | None:
    ops.sort(key=lambda op: (op.generation, not op.wrote, op.at))
    latest = -inf
    for generation, together in groupby(ops, key=lambda op: op.generation):
        here = list(together)
        if sum(op.wrote for op in here) > 1:
            return f"two acts wrote generation {generation}: {here[:2]}"
        wrote = -inf
        for op in here:
            if op.back < max(latest, wrote):
                return f"answered before what stands before it was asked: {op}"
            wrote = op.call if op.wrote else wrote
            after = model.after(op)
            if after is None:
                return f"cannot be answered so: {op} in {model}"
            model = after
        latest = max(latest, *(op.call for op in here))
    return None
