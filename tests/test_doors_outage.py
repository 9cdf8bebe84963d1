"""A database that is gone, damaged or refuses to write is told apart from a mistake; connections are set right."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from booking.doors import Db, change_schema, prepare_engine
from booking.errors import Unavailable
from booking.models import Base, Platform
from booking.postgres import LOCK_SECONDS
from tests.support.doors import Opened, TestClock
from tests.support.rows import put, put_parents, valid

POOL = Base.metadata.tables["pool"]


def platform(name: str) -> Platform:
    return Platform(id=name, name=name, traits=[])


def names(session: Session) -> list[str]:
    return list(session.scalars(select(Platform.name).order_by(Platform.name)))


GONE = {
    "sqlite": "sqlite:////nowhere/at/all/booking.db",
    "postgres": "postgresql+psycopg://postgres@/booking?host=/nowhere/at/all",
    "postgres by network": "postgresql+psycopg://postgres@127.0.0.1:1/booking",
}


@pytest.mark.parametrize("act", ["run", "read"])
@pytest.mark.parametrize("url", GONE.values(), ids=GONE)
def test_a_database_that_cannot_be_reached_is_unavailable(
    url: str, act: str, clock: TestClock, opened: Opened
) -> None:
    engine = opened(url)
    with pytest.raises(Unavailable) as told:
        getattr(Db(engine, clock), act)("names", names)
    assert told.value.code == "service.unavailable"
    with pytest.raises(Unavailable):
        change_schema(engine, lambda connection: None)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, clock: TestClock, opened: Opened) -> None:
    path = tmp_path / "booking.db"
    path.write_bytes(b"this was a shopping list once, and it is longer than a page header needs to be" * 20)
    engine = opened(f"sqlite:///{path}")
    with pytest.raises(Unavailable):
        Db(engine, clock).read("names", names)


def test_a_database_that_may_only_be_read_is_unavailable_to_writers(
    database_url: str, clock: TestClock, opened: Opened
) -> None:
    if database_url.startswith("sqlite"):
        read_only = database_url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    else:
        read_only = database_url + "&options=-c%20default_transaction_read_only%3Don"
    engine = opened(read_only)
    db = Db(engine, clock)
    with pytest.raises(Unavailable):
        db.run("add", lambda session: session.add(platform("a")))
    assert db.read("names", names) == []


@pytest.mark.postgres
def test_a_server_that_was_restarted_between_two_transactions_is_not_noticed(
    postgres_url: str, opened: Opened
) -> None:
    engine, other = opened(postgres_url), opened(postgres_url)
    db = Db(engine, TestClock())
    process = db.read("process", lambda session: session.scalar(text("SELECT pg_backend_pid()")))
    end = text("SELECT pg_terminate_backend(:process, 5000)")
    Db(other, TestClock()).run("end", lambda session: session.execute(end, {"process": process}))
    db.run("add", lambda session: session.add(platform("a")))
    assert db.read("names", names) == ["a"]


@pytest.mark.postgres
def test_a_server_that_goes_away_in_a_transaction_is_unavailable(postgres_url: str, opened: Opened) -> None:
    engine, other = opened(postgres_url), opened(postgres_url)

    def cut_off(session: Session) -> None:
        session.add(platform("a"))
        session.flush()
        process = session.scalar(text("SELECT pg_backend_pid()"))
        end = text("SELECT pg_terminate_backend(:process, 5000)")
        Db(other, TestClock()).run("end", lambda o: o.execute(end, {"process": process}))
        session.execute(text("SELECT 1"))

    db = Db(engine, TestClock())
    with pytest.raises(Unavailable):
        db.run("cut off", cut_off)
    assert db.read("names", names) == []


def test_a_commit_that_fails_holds_no_lock(database_url: str, opened: Opened) -> None:
    engine, other = opened(database_url), opened(database_url)

    def lose(_connection: Connection) -> None:
        raise OperationalError("COMMIT", {}, Exception("lost"))

    event.listen(engine, "commit", lose)
    with pytest.raises(Unavailable):
        Db(engine, TestClock()).run("lost", lambda session: session.add(platform("a")))
    Db(other, TestClock()).run("add", lambda session: session.add(platform("b")))
    assert Db(other, TestClock()).read("names", names) == ["b"]


def test_a_pool_of_connections_that_is_used_up_is_unavailable(database_url: str) -> None:
    small = prepare_engine(create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.05))
    db = Db(small, TestClock())
    with pytest.raises(Unavailable):
        db.read("outer", lambda session: db.read("inner", names))
    small.dispose()


def test_a_mistake_in_a_statement_is_not_called_an_outage(db: Db) -> None:
    with pytest.raises(DBAPIError, match="no_such_table"):
        db.read("mistake", lambda session: session.execute(text("SELECT * FROM no_such_table")))


def test_a_connection_of_sqlite_is_set_to_lose_nothing(sqlite_url: str, opened: Opened) -> None:
    engine = opened(sqlite_url)
    with engine.connect() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        told = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert told == ["wal", 2, 1, LOCK_SECONDS * 1000]


@pytest.mark.postgres
def test_nobody_waits_without_end_or_holds_a_lock_while_idle_on_postgresql(
    postgres_url: str, opened: Opened
) -> None:
    engine = opened(postgres_url)
    with engine.connect() as connection:
        connection.rollback()
        asked = ("lock_timeout", "idle_in_transaction_session_timeout")
        assert [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in asked] == ["5s", "1min"]


def rebuild_pool(connection: Connection, *, keep: bool) -> None:
    """What a migration on SQLite does to change a column: copy the table and drop the old one."""
    connection.exec_driver_sql("CREATE TABLE copy (id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR)")
    if keep:
        connection.exec_driver_sql("INSERT INTO copy SELECT id, name FROM platform")
    connection.exec_driver_sql("DROP TABLE platform")
    connection.exec_driver_sql("ALTER TABLE copy RENAME TO platform")


def put_a_pool(engine: Engine) -> None:
    with engine.begin() as connection:
        put_parents(connection, POOL, 1)
        put(connection, POOL, valid(POOL, 1))


def test_a_table_that_others_refer_to_can_be_rebuilt_and_keys_are_enforced_again(
    sqlite_url: str, opened: Opened
) -> None:
    engine = opened(sqlite_url)
    put_a_pool(engine)
    change_schema(engine, lambda connection: rebuild_pool(connection, keep=True))
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pool").scalar() == 1
        with pytest.raises(IntegrityError):
            connection.exec_driver_sql("DELETE FROM platform")
        connection.rollback()


def test_a_change_of_tables_that_would_leave_orphans_is_undone(sqlite_url: str, opened: Opened) -> None:
    engine = opened(sqlite_url)
    put_a_pool(engine)
    with pytest.raises(RuntimeError, match=r"row of pool .* platform"):
        change_schema(engine, lambda connection: rebuild_pool(connection, keep=False))
    assert Db(engine, TestClock()).read("names", names) == ["platform-name-1"]
