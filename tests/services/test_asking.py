"""One statement by itself: the same rows as in a transaction, and the same words where the database fails."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, column, literal_column, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking.doors import Db
from booking.errors import Unavailable
from booking.models import Account, Journal, Package, Pool
from tests.support.doors import Opened, TestClock
from tests.support.site import Site
from tests.test_doors_outage import GONE

ASKED: dict[str, tuple[Any, dict[str, Any]]] = {
    "moments, choices, truths and lists": (
        select(Pool.id, Pool.created_at, Pool.granularity, Pool.traits, Pool.hold_expires_at),
        {},
    ),
    "by a name": (
        select(Account.id, Account.limits, Account.is_admin).where(Account.name == bindparam("name")),
        {"name": "ann"},
    ),
    "of several, at most so many": (
        select(Package.name, Package.version)
        .where(Package.name.in_(["half", "tiny"]))
        .order_by(Package.name)
        .limit(1),
        {},
    ),
    "since a moment": (
        select(Journal.action).where(Journal.at >= bindparam("since", type_=Journal.at.type)),
        {},
    ),
    "nothing": (select(Account.id).where(Account.name == bindparam("name")), {"name": "nobody"}),
}


@pytest.mark.parametrize("what", ASKED)
def test_it_finds_what_a_transaction_finds(site: Site, what: str) -> None:
    statement, values = ASKED[what]
    site.pool(8)
    site.package("half", 4)
    site.person("ann")
    if what == "since a moment":
        values = {"since": site.ctx.clock.now()}

    def read(session: Session) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in session.execute(statement, values)]

    expected = site.ctx.db.read("rows", read)
    assert bool(expected) is (what != "nothing")
    for _ in range(8):  # the driver prepares what it is asked often
        assert [tuple(row) for row in site.ctx.db.ask(statement, values)] == expected


@pytest.mark.parametrize("url", GONE.values(), ids=GONE)
def test_a_database_that_cannot_be_reached_is_unavailable(url: str, clock: TestClock, opened: Opened) -> None:
    with pytest.raises(Unavailable):
        Db(opened(url), clock).ask(select(Account.id), {})


def test_a_mistake_in_a_statement_is_not_called_an_outage(db: Db) -> None:
    with pytest.raises(DBAPIError, match="no_such_table"):
        db.ask(select(column("x")).select_from(table("no_such_table")), {})


@pytest.mark.postgres
def test_a_server_that_was_restarted_between_two_statements_is_not_noticed(
    postgres_url: str, opened: Opened
) -> None:
    db, other = Db(opened(postgres_url), TestClock()), Db(opened(postgres_url), TestClock())
    process: Any = select(literal_column("pg_backend_pid()").label("pid"))
    (first,) = db.ask(process, {})[0]
    assert db.ask(process, {})[0] == (first,), "the connection is kept"
    end = text("SELECT pg_terminate_backend(:process, 5000)")
    other.run("end", lambda session: session.execute(end, {"process": first}))
    assert db.ask(process, {})[0] != (first,)
