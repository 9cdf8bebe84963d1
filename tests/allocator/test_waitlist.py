"""How long an offer stands, and what comes after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from booking.allocator.waitlist import MOST_LAPSES, NOTICE, WantedState, after_lapse, offer_length

NOW = datetime(2030, 1, 7, 9, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    "ahead, length",
    [
        (24 * HOUR, 2 * HOUR),
        (2 * HOUR + NOTICE, 2 * HOUR),
        (HOUR, HOUR - NOTICE),
        (NOTICE + MINUTE, MINUTE),
        (NOTICE, None),
        (timedelta(0), None),
        (-HOUR, None),
    ],
)
def test_an_offer_ends_before_its_span_begins(ahead: timedelta, length: timedelta | None) -> None:
    assert offer_length(NOW, NOW + ahead, 2 * HOUR) == length


def test_one_lapse_sends_it_to_the_end_of_the_line_and_the_last_out_of_it() -> None:
    assert after_lapse(1) is WantedState.WAITING
    assert after_lapse(MOST_LAPSES) is WantedState.GONE
