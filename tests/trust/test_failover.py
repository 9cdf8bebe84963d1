"""The proof of the lost primary in its quickest form; it has a control of its own."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from booking.doors import Db
from booking.models.history import History
from tests.support.doors import Opened, TestClock
from tests.trust.failover import proof
from tests.trust.proof import Scale

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.xdist_group("serve")]


def test_what_a_lost_primary_alone_had_committed_is_in_nobodys_answers() -> None:
    finding = proof.prove(Scale.QUICK, 1)
    assert finding.ok, finding


def test_a_history_is_the_same_on_every_connection_and_another_in_another_database(
    postgres_url: str, opened: Opened
) -> None:
    def read(url: str) -> str | None:
        return Db(opened(url), TestClock()).read("history", lambda session: session.scalar(select(History())))

    assert read(postgres_url) == read(postgres_url) != ""
