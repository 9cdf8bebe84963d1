"""The black-box check: is there any order of the acts that explains the answers? Generations are not looked at.

Wing and Gong's search: of the acts that nothing unplaced came back before, place one that the model can
answer so, and go on; places and states that led nowhere are remembered.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tests.trust.history.model import Model, Op


class Undecided(Exception):
    """The history has too many orders to look at."""


_MOST_STATES = 300_000


def linearizable(ops: Sequence[Op], model: Model) -> bool:
    """Whether some order agrees with real time and with the model. Exponential at worst in the clients.

    :raises Undecided: after very many states.
    """
    ops = sorted(ops, key=lambda op: op.call)
    seen: set[tuple[int, Hashable]] = set()
    stack = [(0, model)]
    while stack:
        placed, model = stack.pop()
        if placed == (1 << len(ops)) - 1:
            return True
        for index in _next(ops, placed):
            after = model.after(ops[index])
            if after is None:
                continue
            now = placed | 1 << index
            state = now, (after.physical, frozenset(after.claims.items()))
            if state not in seen:
                seen.add(state)
                stack.append((now, after))
        if len(seen) > _MOST_STATES:
            raise Undecided
    return False


def _next(ops: Sequence[Op], placed: int) -> list[int]:
    """The acts that may come next: called before any other unplaced one came back."""
    found: list[int] = []
    earliest = float("inf")
    first = ((placed + 1) & ~placed).bit_length() - 1  # the first that is not placed
    for index in range(first, len(ops)):
        op = ops[index]
        if op.call > earliest:
            break
        if not placed >> index & 1:
            found.append(index)
            earliest = min(earliest, op.back)
    # The one that came back first is on top of the stack: it is the likeliest to have been first.
    return sorted((i for i in found if ops[i].call <= earliest), key=lambda i: -ops[i].back)
