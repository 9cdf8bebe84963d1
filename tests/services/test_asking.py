"""One statement by itself: the same rows as in a transaction, and the same words where the database fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, column, event, literal_column, make_url, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking import asking, migrate
from booking.doors import Db
from booking.errors import Unavailable
from booking.models import Account, Journal, Package, Platform, Pool
from booking.prepared import Prepared
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


def test_it_takes_no_connection_that_transactions_wait_for(db: Db, engine: Engine) -> None:
    taken: list[object] = []
    db.ask(select(Account.id), {})
    event.listen(engine, "checkout", lambda *about: taken.append(about))
    db.ask(select(Account.id), {})
    assert taken == []
    db.read("accounts", lambda session: session.execute(select(Account.id)).all())
    assert len(taken) == 1


def test_it_sees_what_others_have_committed(db: Db) -> None:
    names = select(Platform.name)
    assert db.ask(names, {}) == []
    db.run("platform", lambda session: session.add(Platform(id="a", name="a", traits=[])))
    assert [row.name for row in db.ask(names, {})] == ["a"]


@pytest.mark.parametrize("url", GONE.values(), ids=GONE)
def test_a_database_that_cannot_be_reached_is_unavailable(url: str, clock: TestClock, opened: Opened) -> None:
    with pytest.raises(Unavailable):
        Db(opened(url), clock).ask(select(Account.id), {})


def test_a_mistake_in_a_statement_is_not_called_an_outage(db: Db) -> None:
    with pytest.raises(DBAPIError, match="no_such_table"):
        db.ask(select(column("x")).select_from(table("no_such_table")), {})


def test_a_fault_of_our_own_on_a_kept_connection_is_told_and_nothing_is_asked_again(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.ask(select(Account.id), {})
    asked: list[str] = []

    def fail(_cursor: object, known: Prepared, _values: object) -> None:
        asked.append(known.text)
        raise IndexError("of a list in the driver")

    monkeypatch.setattr(asking, "_found", fail)
    with pytest.raises(IndexError, match="of a list"):
        db.ask(select(Account.name), {})
    assert len(asked) == 1


NAMES = select(Platform.name).order_by(Platform.name)


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that have gone to a database."""
    found, texts = asking._found, []

    def told(cursor: Any, known: Prepared, values: Any) -> Sequence[Any]:
        texts.append(known.text)
        return found(cursor, known, values)

    monkeypatch.setattr(asking, "_found", told)
    return texts


def _platform(db: Db, name: str) -> None:
    db.run("platform", lambda session: session.add(Platform(id=name, name=name, traits=[])))


def test_a_file_is_not_asked_again_while_nobody_writes(
    sqlite_url: str, opened: Opened, executed: list[str]
) -> None:
    db = Db(opened(sqlite_url), TestClock())
    migrate.upgrade(db.engine)
    _platform(db, "a")
    for _ in range(3):
        assert [row.name for row in db.ask(NAMES, {})] == ["a"]
    assert len(executed) == 1

    with pytest.raises(RuntimeError, match="undone"):
        db.run("undone", _fail_after_writing)
    assert [row.name for row in db.ask(NAMES, {})] == ["a"]

    for number, other in enumerate((db, Db(opened(sqlite_url), TestClock())), start=2):
        _platform(other, f"b{number}")
        assert len(db.ask(NAMES, {})) == number, "of another connection, and of another engine"

    by_hand = _WRITE.format(path=make_url(sqlite_url).database)
    subprocess.run([sys.executable, "-c", by_hand], check=True)
    assert [row.name for row in db.ask(NAMES, {})] == ["b2", "b3", "c"], "of another process"


_WRITE = """import sqlite3
connection = sqlite3.connect({path!r})
connection.execute("UPDATE platform SET name = 'c' WHERE name = 'a'")
connection.commit()"""


def _fail_after_writing(session: Session) -> None:
    session.add(Platform(id="z", name="z", traits=[]))
    session.flush()
    raise RuntimeError("undone")


def test_the_values_belong_to_the_question(db: Db) -> None:
    _platform(db, "a")
    by_name = select(Platform.id).where(Platform.name == bindparam("name"))
    for _ in range(2):
        assert len(db.ask(by_name, {"name": "a"})) == 1
        assert len(db.ask(by_name, {"name": "b"})) == 0


def test_a_file_that_nobody_writes_fills_no_memory(
    sqlite_url: str, opened: Opened, executed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_KEPT", 3)
    db = Db(opened(sqlite_url), TestClock())
    migrate.upgrade(db.engine)
    by_name = select(Platform.id).where(Platform.name == bindparam("name"))
    for name in ("a", "b", "c", "a", "b", "c"):
        db.ask(by_name, {"name": name})
    assert len(executed) == 3
    for name in ("d", "a", "b", "a", "b"):
        db.ask(by_name, {"name": name})
    assert len(executed) == 6, "at the fourth answer the first three were forgotten"


def test_a_forked_process_asks_over_a_connection_of_its_own(db: Db, executed: list[str]) -> None:
    _platform(db, "a")
    assert len(db.ask(NAMES, {})) == 1
    child = os.fork()
    if not child:
        asked = len(db.ask(NAMES, {})) == 1 and len(executed) == 2
        os._exit(0 if asked else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(db.ask(NAMES, {})) == 1, "the parent has its own still"


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
