"""The doors keep their word: one transaction, one state, one writer, and a plain answer when nothing is there."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from booking import sqlite
from booking.doors import ATTEMPTS, Db, SystemClock, SystemIds, prepare_engine
from booking.errors import ConcurrentUpdate, Unavailable
from booking.models import Base, Platform, Pool
from tests.support.doors import Opened, TestClock
from tests.support.rows import put, put_parents, valid
from tests.support.threads import PATIENCE, in_threads

POOL = Base.metadata.tables["pool"]


def platform(name: str) -> Platform:
    return Platform(id=name, name=name, traits=[])


def names(session: Session) -> list[str]:
    return list(session.scalars(select(Platform.name).order_by(Platform.name)))


def advance(session: Session) -> int:
    """What every promise does: lock the pool, read its generation, write the next."""
    pool = session.scalars(select(Pool).with_for_update(of=Pool)).one()
    pool.generation += 1
    return pool.generation


@pytest.fixture
def pool(engine: Engine) -> None:
    with engine.begin() as connection:
        put_parents(connection, POOL, 1)
        put(connection, POOL, valid(POOL, 1) | {"generation": 0})


@pytest.fixture
def impatient(database_url: str) -> Iterator[Engine]:
    """An engine that waits for no lock, so that a race is lost at once."""
    engine = prepare_engine(create_engine(database_url))

    @event.listens_for(engine, "connect")
    def hurry(connection: Any, record: Any) -> None:
        if engine.dialect.name == "sqlite":
            record.info[sqlite.LOCK_SECONDS_OF] = 0
            return
        connection.cursor().execute("SET lock_timeout='10ms'")
        connection.commit()

    yield engine
    engine.dispose()


@pytest.fixture
def lock(engine: Engine, pool: None) -> Iterator[Connection]:
    """Somebody who holds the lock of the pool."""
    with engine.connect() as connection:
        connection.execute(select(POOL).with_for_update())
        yield connection
        connection.rollback()


class Releasing(TestClock):
    """Whoever sleeps for the given time in all lets the lock go."""

    def __init__(self, lock: Connection, naps: int) -> None:
        super().__init__()
        self._lock_holder = lock
        self._naps = naps

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if len(self.slept) == self._naps:
            self._lock_holder.rollback()


def test_a_run_commits_once_and_others_see_it(engine: Engine, db: Db) -> None:
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)

    def two_rows(session: Session) -> str:
        session.add_all([platform("a"), platform("b")])
        session.flush()
        return "done"

    assert db.run("two rows", two_rows) == "done"
    assert len(commits) == 1
    assert db.read("names", names) == ["a", "b"]


def test_a_run_that_raises_leaves_nothing(db: Db) -> None:
    def fail(session: Session) -> None:
        session.add(platform("a"))
        session.flush()
        raise LookupError("on purpose")

    with pytest.raises(LookupError):
        db.run("fail", fail)
    assert db.read("names", names) == []


def test_a_broken_constraint_is_told_as_it_is_and_not_retried(db: Db, clock: TestClock) -> None:
    db.run("first", lambda session: session.add(platform("a")))
    with pytest.raises(IntegrityError):
        db.run("again", lambda session: session.add(platform("a")))
    assert clock.slept == []


@pytest.mark.parametrize("act", ["run", "read"])
def test_what_a_transaction_returns_can_be_used_after_it(db: Db, act: str) -> None:
    db.run("add", lambda session: session.add(platform("a")))
    found: Platform = getattr(db, act)("get", lambda session: session.get_one(Platform, "a"))
    assert (found.name, found.traits) == ("a", [])


def test_a_lost_race_is_run_again_until_it_is_won(impatient: Engine, lock: Connection) -> None:
    clock = Releasing(lock, naps=2)
    assert Db(impatient, clock).run("advance", advance) == 1
    assert len(clock.slept) == 2


def test_a_race_lost_too_often_is_given_up_after_longer_and_longer_waits(
    impatient: Engine, lock: Connection, clock: TestClock
) -> None:
    with pytest.raises(ConcurrentUpdate) as lost:
        Db(impatient, clock).run("advance", advance)
    assert lost.value.code == "booking.concurrent_update"
    assert len(clock.slept) == ATTEMPTS - 1
    assert clock.slept == sorted(set(clock.slept))
    lock.rollback()
    assert Db(impatient, clock).run("advance", advance) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_an_attempt_that_wrote_and_lost_starts_again_from_what_the_winner_left(
    impatient: Engine, lock: Connection
) -> None:
    """Not on SQLite: there a loser has not begun yet."""
    seen: list[int] = []

    def late(session: Session) -> None:
        session.add(platform("late"))
        session.flush()
        seen.append(session.scalar(select(func.count()).select_from(Platform)) or 0)
        advance(session)

    lock.execute(update(POOL).values(generation=41))

    class Winning(TestClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if lock.in_transaction():
                lock.commit()

    db = Db(impatient, Winning())
    db.run("late", late)
    assert seen == [2, 2]
    assert db.read("generation", lambda session: session.scalar(select(Pool.generation))) == 42


def test_a_read_sees_one_state_though_others_commit_meanwhile(engine: Engine, db: Db) -> None:
    db.run("first", lambda session: session.add(platform("a")))

    def twice(session: Session) -> tuple[list[str], list[str]]:
        before = names(session)
        Db(engine, TestClock()).run("meanwhile", lambda other: other.add(platform("b")))
        return before, names(session)

    assert db.read("twice", twice) == (["a"], ["a"])
    assert db.read("after", names) == ["a", "b"]


@pytest.mark.parametrize(
    "write",
    [
        lambda session: session.add(platform("a")),
        lambda session: session.execute(text("INSERT INTO platform VALUES ('a', 'a', '[]')")),
    ],
    ids=["by the models", "by a statement"],
)
def test_a_read_that_writes_is_an_error_and_writes_nothing(
    db: Db, write: Callable[[Session], object]
) -> None:
    with pytest.raises((DBAPIError, Unavailable)):
        db.read("write", write)
    assert db.read("names", names) == []
    db.run("a connection that has read can write", lambda session: session.add(platform("b")))
    assert db.read("names", names) == ["b"]


def test_a_read_waits_for_no_writer(engine: Engine, lock: Connection, impatient: Engine) -> None:
    lock.execute(update(POOL).values(generation=7))
    db = Db(impatient, TestClock())
    assert db.read("generation", lambda session: session.scalar(select(Pool.generation))) == 0


def test_of_two_writers_the_second_waits_and_then_sees_what_the_first_wrote(
    engine: Engine, pool: None
) -> None:
    inside, arriving, second_is_in = threading.Event(), threading.Event(), threading.Event()
    answers: dict[str, int] = {}
    attempts: list[str] = []

    def first(session: Session) -> int:
        generation = advance(session)
        inside.set()
        assert arriving.wait(PATIENCE)
        assert not second_is_in.wait(0.3), "two writers were in at once"
        return generation

    def second(session: Session) -> int:
        attempts.append("second")
        generation = advance(session)
        second_is_in.set()
        return generation

    def act_first() -> None:
        answers["first"] = Db(engine, SystemClock()).run("first", first)

    def act_second() -> None:
        assert inside.wait(PATIENCE)
        arriving.set()
        answers["second"] = Db(engine, SystemClock()).run("second", second)

    in_threads(act_first, act_second)
    assert answers == {"first": 1, "second": 2}
    assert attempts == ["second"], "the second lost a race instead of waiting"


def test_no_advance_of_many_writers_is_lost(engine: Engine, pool: None) -> None:
    def act() -> None:
        db = Db(engine, SystemClock())
        for _ in range(20):
            db.run("advance", advance)

    in_threads(act, act, act)
    db = Db(engine, SystemClock())
    assert db.read("generation", lambda session: session.scalar(select(Pool.generation))) == 60


@pytest.mark.postgres
def test_two_who_lock_in_opposite_order_both_get_through(postgres_url: str, opened: Opened) -> None:
    engine = opened(postgres_url)
    db = Db(engine, SystemClock())
    db.run("add", lambda session: session.add_all([platform("a"), platform("b")]))
    together = threading.Barrier(2)
    meet = {"a": True, "b": True}

    def both(one: str, other: str) -> Callable[[Session], None]:
        def fn(session: Session) -> None:
            session.execute(update(Platform).where(Platform.id == one).values(name=f"{one} by {one}"))
            if meet.pop(one, False):
                together.wait(PATIENCE)
            session.execute(update(Platform).where(Platform.id == other).values(name=f"{other} by {one}"))

        return fn

    in_threads(lambda: db.run("a", both("a", "b")), lambda: db.run("b", both("b", "a")))
    assert db.read("names", names) in (["a by a", "b by a"], ["a by b", "b by b"])


def test_the_clock_of_the_machine_knows_its_zone_and_never_goes_back() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.now().tzinfo is UTC
    clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01


def test_ids_are_twenty_plain_characters_and_secrets_are_long_and_none_comes_twice() -> None:
    ids = SystemIds()
    drawn = {ids.new() for _ in range(500)}
    secrets = {ids.secret() for _ in range(500)}
    assert (len(drawn), len(secrets)) == (500, 500)
    assert all(re.fullmatch("[a-z0-9]{20}", one) for one in drawn)
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", one) for one in secrets)


class Busy:
    """A connection to a new file that other processes are just opening, too: so often it is locked."""

    def __init__(self, locked: int) -> None:
        self.locked = locked
        self.told: list[str] = []

    def cursor(self) -> Busy:
        return self

    def execute(self, text: str) -> None:
        if "journal_mode" in text and self.locked > 0:
            self.locked -= 1
            raise sqlite3.OperationalError("database is locked")
        if "journal_mode" in text and self.locked < 0:
            raise sqlite3.OperationalError("disk I/O error")
        self.told.append(text)

    def close(self) -> None:
        pass


def test_a_new_file_that_others_open_at_the_same_time_is_waited_for() -> None:
    connection = Busy(3)
    sqlite.connect(connection, None)
    assert connection.told[1:] == [
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "PRAGMA foreign_keys=ON",
    ]


def test_a_file_that_cannot_be_read_is_not_waited_for() -> None:
    connection = Busy(-1)
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        sqlite.connect(connection, None)
