"""The rules of the waiting list: how long an offer stands, and what becomes of a wanted span after it.

Whoever asked first is offered first. An offer that lapses once sends its span to the end of the line; twice
is enough.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

NOTICE = timedelta(minutes=15)
"""What is left before the start when an offer ends, so that somebody else may still have it."""
MOST_LAPSES = 2
"""How many offers of one span may lapse before it is gone."""


class WantedState(StrEnum):
    """Where a wanted span stands."""

    WAITING = "waiting"
    OFFERED = "offered"
    TAKEN = "taken"
    GONE = "gone"


OPEN = frozenset({WantedState.WAITING, WantedState.OFFERED})
"""The states in which it is still wanted."""


def offer_length(now: datetime, start: datetime, most: timedelta) -> timedelta | None:
    """For how long an offer of a span with that start stands from now on: `most`, and never to within
    :data:`NOTICE` of the start; None if it is too late for one."""
    left = start - NOTICE - now
    return min(most, left) if left > timedelta(0) else None


def after_lapse(lapses: int) -> WantedState:
    """Where a span stands after so many of its offers have lapsed."""
    return WantedState.WAITING if lapses < MOST_LAPSES else WantedState.GONE
