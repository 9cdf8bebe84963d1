"""States of a reservation and the table of legal transitions.

held -> confirmed -> preparing -> active -> ending -> ended
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class State(StrEnum):
    """Where a reservation stands."""

    HELD = "held"
    CONFIRMED = "confirmed"
    PREPARING = "preparing"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"
    PREEMPTED = "preempted"


LEGAL: dict[State, frozenset[State]] = {
    State.HELD: frozenset({State.CONFIRMED, State.EXPIRED, State.CANCELLED}),
    State.CONFIRMED: frozenset({State.PREPARING, State.CANCELLED, State.FAILED, State.ENDED}),
    State.PREPARING: frozenset({State.ACTIVE, State.ENDING}),
    # A cluster that was lost is made again while time remains.
    State.ACTIVE: frozenset({State.PREPARING, State.ENDING}),
    State.ENDING: frozenset({State.ENDED, State.CANCELLED, State.FAILED, State.PREEMPTED}),
    State.ENDED: frozenset(),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset(),
    State.FAILED: frozenset(),
    State.PREEMPTED: frozenset(),
}

COUNTED = frozenset({State.HELD, State.CONFIRMED, State.PREPARING, State.ACTIVE, State.ENDING})
"""The states that reserved(t) sums; a hold only until its expiry."""
LIVE = frozenset({State.PREPARING, State.ACTIVE, State.ENDING})
"""The states in which something may exist outside."""
FINAL = frozenset(state for state, following in LEGAL.items() if not following)


class IllegalTransition(Exception):
    """A reservation was asked to go where it cannot; it carries both states."""

    def __init__(self, before: State, after: State) -> None:
        super().__init__(f"a reservation that is {before} cannot become {after}")
        self.before = before
        self.after = after


def advance(before: State, after: State) -> State:
    """`after`, if it may follow `before`.

    :raises IllegalTransition: if the table does not allow it.
    """
    if after not in LEGAL[before]:
        raise IllegalTransition(before, after)
    return after


_RANK = (
    State.ACTIVE,
    State.PREPARING,
    State.ENDING,
    State.CONFIRMED,
    State.HELD,
    State.FAILED,
    State.PREEMPTED,
    State.ENDED,
    State.EXPIRED,
    State.CANCELLED,
)


def booking_state(states: Iterable[State]) -> State:
    """The state of a booking: that of its most lively reservation.

    :raises ValueError: if there is none.
    """
    return min(states, key=_RANK.index)
