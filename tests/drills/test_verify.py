"""`booking verify` names each reservation that does not fit its cluster, its work or its booking."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from booking.doors import Doors
from booking.services.verify import differences
from tests.drills.world import inhabited, multiply
from tests.support.doors import TestClock

FAULTS = {
    "is in another pool than its booking": "UPDATE reservation SET pool_id = (SELECT id FROM pool "
    "WHERE name = 'other') WHERE state = 'confirmed'",
    "is preparing but its cluster is not there": "UPDATE reservation SET state = 'preparing' "
    "WHERE state = 'confirmed'",
    "is ended but its cluster is ready": "UPDATE cluster SET phase = 'ready'",
    "is confirmed but no provision is due for it": "DELETE FROM work WHERE action = 'provision'",
}


@pytest.mark.parametrize("says", FAULTS)
def test_a_reservation_that_does_not_fit_is_named(doors: Doors, clock: TestClock, says: str) -> None:
    site, _, over = inhabited(doors, clock, clock.now())
    site.pool(8, name="other")
    multiply(site, over, 3)
    assert differences(site.ctx) == []
    with doors.db.engine.begin() as connection:
        connection.execute(text(FAULTS[says]))
    assert [found for found in differences(site.ctx) if found.endswith(says)]
