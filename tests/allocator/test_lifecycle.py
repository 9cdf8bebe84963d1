"""States: every pair is legal or refused, as the contract draws it."""

from __future__ import annotations

from itertools import product

import pytest

from booking.allocator.lifecycle import (
    COUNTED,
    FINAL,
    LIVE,
    IllegalTransition,
    State,
    advance,
    booking_state,
)

DRAWN = {
    "held": {"confirmed", "expired", "cancelled"},
    "confirmed": {"preparing", "cancelled", "failed", "ended"},
    "preparing": {"active", "ending"},
    "active": {"preparing", "ending"},
    "ending": {"ended", "cancelled", "failed", "preempted"},
}


@pytest.mark.parametrize("before,after", list(product(State, State)))
def test_a_reservation_goes_only_where_the_table_leads(before: State, after: State) -> None:
    if after.value in DRAWN.get(before.value, set()):
        assert advance(before, after) is after
    else:
        with pytest.raises(IllegalTransition, match=f"{before} cannot become {after}") as refused:
            advance(before, after)
        assert (refused.value.before, refused.value.after) == (before, after)


def test_final_states_are_those_nothing_follows() -> None:
    assert {"ended", "cancelled", "expired", "failed", "preempted"} == FINAL


def test_what_is_not_over_is_counted() -> None:
    assert set(State) - FINAL == COUNTED
    assert {"preparing", "active", "ending"} == LIVE


@pytest.mark.parametrize("start", list(State))
def test_every_state_leads_to_an_end(start: State) -> None:
    reached, edge = {start}, {start}
    while edge:
        edge = {State(name) for state in edge for name in DRAWN.get(state.value, set())} - reached
        reached |= edge
    assert reached & FINAL


def test_a_booking_is_as_lively_as_its_liveliest_reservation() -> None:
    assert booking_state([State.ENDED, State.CONFIRMED, State.ACTIVE]) is State.ACTIVE
    assert booking_state([State.CANCELLED, State.ENDED]) is State.ENDED
    assert booking_state([State.HELD, State.CANCELLED]) is State.HELD
    assert all(booking_state([state]) is state for state in State)


def test_a_booking_without_reservations_has_no_state() -> None:
    with pytest.raises(ValueError, match="empty"):
        booking_state([])
