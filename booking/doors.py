"""The doors to the world: the only places that read time, draw ids and secrets, and open a transaction.

Every effect passes a door or a port of `adapters/base.py`, so that tests may drive days in seconds,
and kill or stall the service at every point.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, Select, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from booking import metrics, postgres, sqlite
from booking.asking import Asker
from booking.errors import ConcurrentUpdate, Unavailable
from booking.postgres import SERVING_LOCK_SECONDS, time_left, within

log = logging.getLogger(__name__)
T = TypeVar("T")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32 in lower case: no letter is mistaken for a digit."""
_LETTERS = (_ALPHABET * 8).encode()
"""A letter for each byte: 256 is a multiple of 32, so every letter is as likely."""
ATTEMPTS = 5
"""How often a transaction that lost a race is tried before it is an error."""
_RETRYABLE = ("40001", "40P01", "55P03")
"""PostgreSQL: serialization failure, deadlock, lock not available."""
_READ_ONLY = "25006"
"""PostgreSQL: a write to a server, or in a transaction, that only reads."""
SCHEMA_LOCK_SECONDS = 300
"""The same for a change of the tables, which waits for another migration to finish."""
SCHEMA_PAUSE_SECONDS = 0.05
"""So long those who write have the tables to themselves before a change that lost to them is tried again."""
_STALE = "ck_pool_generation_not_negative"
"""The constraint by which the table of pools refuses what was decided on an older generation."""
POOL_SECONDS = 0.8
"""How long a transaction waits while every connection of the process is in use."""
PAUSE_SECONDS = 1.0
"""After a silence of the database nobody asks it for so long; else those who queue would wait in turn."""


class Clock(Protocol):
    """The only reader of time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""

    def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    """The only source of randomness."""

    def new(self) -> str:
        """A new opaque id: 20 characters of `[0-9a-z]`, 100 random bits."""

    def secret(self) -> str:
        """A new secret: 256 random bits, safe in a URL."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SystemIds:
    """The machine's randomness."""

    def new(self) -> str:
        return secrets.token_bytes(20).translate(_LETTERS).decode()

    def secret(self) -> str:
        return secrets.token_urlsafe(32)


class Db:
    """Transactions; the same code on SQLite and PostgreSQL.

    `fn` is pure over the session: it may be run again after a lost race, and what it read before is void.
    """

    def __init__(self, engine: Engine, clock: Clock, patience: float = math.inf) -> None:
        """`patience` is how many seconds one transaction waits for PostgreSQL, with all its attempts."""
        self.engine = engine
        self._clock, self._patience = clock, patience
        self._paused_until = -math.inf
        self._asker = Asker(engine)

    def run(self, name: str, fn: Callable[[Session], T]) -> T:
        """Run `fn` in ONE writing transaction and commit; SQLite takes its write lock at the start.

        :raises ConcurrentUpdate: after :data:`ATTEMPTS` lost races.
        :raises Unavailable: if the database cannot be reached or written.
        """
        with within(self._patience):
            return self._repeated(name, fn)

    def _repeated(self, name: str, fn: Callable[[Session], T]) -> T:
        for attempt in range(ATTEMPTS):
            if attempt:
                if time_left() < SERVING_LOCK_SECONDS:  # another attempt might wait for the lock past the end
                    raise Unavailable("The database is too busy at the moment.")
                self._clock.sleep(0.01 * 2**attempt)
            try:
                return self._once(name, fn, writes=True)
            except (DBAPIError, PoolTimeoutError, StaleDataError) as error:
                if not _lost_race(error):
                    raise _translated(error) from error
                metrics.LOST_RACES.labels(name).inc()
                if isinstance(error, StaleDataError):
                    # Nothing was harmed, but the lock should have made it wait before it decided.
                    log.error("transaction %r was decided on an older state, and is made again", name)
        raise ConcurrentUpdate("Somebody else was quicker several times; please try again.")

    def rehearse(self, name: str, fn: Callable[[Session], T]) -> T:
        """Run `fn` as :meth:`run` would and then undo it; what it loaded stays readable.

        :raises Unavailable: if the database cannot be reached or written.
        """

        def undone(session: Session) -> T:
            result = fn(session)
            session.flush()
            session.expunge_all()
            session.rollback()
            return result

        return self.run(name, undone)

    def read(self, name: str, fn: Callable[[Session], T]) -> T:
        """Run `fn` in a transaction that sees one state; the database itself refuses a write in it.

        :raises Unavailable: if the database cannot be reached.
        """
        with within(self._patience):
            return self._guarded(lambda: self._once(name, fn, writes=False))

    def ask(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """The rows of ONE statement, which by itself sees one state; a tenth of what :meth:`read` costs.

        `statement` is a constant of its module: what is made of it is kept.

        :raises Unavailable: if the database cannot be reached.
        """
        self._refuse_while_paused()
        with nullcontext() if self._patience == math.inf else within(self._patience):
            try:
                return self._asker.rows(statement, parameters)
            except (DBAPIError, PoolTimeoutError) as error:
                self._pause_after_silence(error)
                raise _translated(error) from error

    def _guarded(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except (DBAPIError, PoolTimeoutError) as error:
            raise _translated(error) from error

    def _once(self, name: str, fn: Callable[[Session], T], *, writes: bool) -> T:
        with self._paused_after_silence():
            try:
                return self._transaction(name, fn, writes=writes)
            except IntegrityError as error:
                if _STALE in str(error.orig):
                    raise StaleDataError("a pool is no longer at the generation that was locked") from error
                raise

    @contextmanager
    def _paused_after_silence(self) -> Iterator[None]:
        self._refuse_while_paused()
        try:
            yield
        except DBAPIError as error:
            self._pause_after_silence(error)
            raise

    def _refuse_while_paused(self) -> None:
        if time.monotonic() < self._paused_until:
            raise _unavailable()

    def _pause_after_silence(self, error: Exception) -> None:
        silent = isinstance(getattr(error, "orig", None), psycopg.errors.ConnectionTimeout)
        if isinstance(error, DBAPIError) and (silent or time_left() <= 0):
            self._paused_until = time.monotonic() + PAUSE_SECONDS

    def _transaction(self, name: str, fn: Callable[[Session], T], *, writes: bool) -> T:
        options: dict[str, Any] = {"booking_writes": writes}
        if not writes and self.engine.dialect.name == "postgresql":
            # Its default lets every statement see another state.
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with Session(self.engine, expire_on_commit=False) as session:
            connection = session.connection(execution_options=options)
            connection.info["transaction"] = name
            session.info["connection"] = connection  # asked for by each statement, and always the same
            result = fn(session)
            # Of a reading transaction too: a rollback would empty the objects it returns, and a commit
            # brings to light what was changed by mistake.
            session.commit()
            return result


def _lost_race(error: Exception) -> bool:
    if isinstance(error, StaleDataError):
        return True
    origin = getattr(error, "orig", None)
    if getattr(origin, "sqlstate", None) in _RETRYABLE:
        return True
    return str(getattr(origin, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _translated(error: Exception) -> Exception:
    """`Unavailable`, unless the statement itself was at fault."""
    origin = getattr(error, "orig", None)
    if getattr(origin, "sqlite_errorname", None) == "SQLITE_ERROR":
        return error
    lost = isinstance(error, OperationalError | PoolTimeoutError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    if lost or getattr(origin, "sqlstate", None) == _READ_ONLY or _damaged(origin):
        return _unavailable()
    return error


def _unavailable() -> Unavailable:
    return Unavailable("The database cannot be reached or written at the moment.")


def _damaged(origin: object) -> bool:
    name = str(getattr(origin, "sqlite_errorname", ""))
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def open_engine(url: str | URL, *, serving: bool = False) -> Engine:
    """A prepared engine for the database at `url`; nothing is connected yet."""
    # A server that was restarted is noticed when a connection is taken, not in the middle of a transaction.
    # What stands in a statement may be a secret, and an error ends in the log.
    remote = not make_url(url).get_backend_name().startswith("sqlite")
    return prepare_engine(create_engine(url, pool_pre_ping=remote, hide_parameters=True), serving=serving)


def prepare_engine(engine: Engine, *, serving: bool = False) -> Engine:
    """Set how connections and transactions begin; on SQLite the driver's own guesses are switched off.

    SQLite: write-ahead log, every commit synced, foreign keys enforced, and `BEGIN IMMEDIATE` for
    transactions that write, so that two writers queue at the start and none fails at its end.
    PostgreSQL: nobody waits for a lock or an answer without end, nobody holds a lock while doing nothing,
    and a commit is on disk before it is told; where the engine is `serving`, all of that is quicker.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", sqlite.connect)
        event.listen(engine, "begin", sqlite.begin)
        event.listen(engine, "checkin", sqlite.checkin)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "do_connect", postgres.connect)
        engine.dialect.do_ping = postgres.ping(engine.dialect)  # type: ignore[method-assign, assignment]
        event.listen(engine, "connect", postgres.set_serving if serving else postgres.set_patient)
    return engine


def change_schema(engine: Engine, fn: Callable[[Connection], T]) -> T:
    """Run `fn` in ONE transaction that changes the tables, and commit.

    On SQLite a changed table is copied and the old one dropped, which enforced foreign keys would forbid;
    they are off meanwhile, and all are checked before the commit. The wait for a lock is long. Whoever writes
    at the same time may take its locks in another order: what lost to it is tried again, as long as that.

    :raises Unavailable: if the database cannot be reached or written.
    """
    until = time.monotonic() + SCHEMA_LOCK_SECONDS
    while True:
        try:
            return _change_schema_once(engine, fn)
        except (DBAPIError, PoolTimeoutError) as error:
            lost = getattr(getattr(error, "orig", None), "sqlstate", None) in _RETRYABLE
            if not lost or time.monotonic() > until:
                raise _translated(error) from error
        time.sleep(SCHEMA_PAUSE_SECONDS)


def _change_schema_once(engine: Engine, fn: Callable[[Connection], T]) -> T:
    with engine.connect() as connection, _schema_rules(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{SCHEMA_LOCK_SECONDS}s'")
        result = fn(connection)
        if engine.dialect.name == "sqlite":
            _check_foreign_keys(connection)
        return result


@contextmanager
def _schema_rules(connection: Connection) -> Iterator[None]:
    if connection.dialect.name != "sqlite":
        yield
        return
    # SQLite ignores this inside a transaction, so the driver's own connection is told before it begins.
    driver = connection.connection.driver_connection
    sqlite.set_pragmas(driver, "foreign_keys=OFF")
    connection.info[sqlite.LOCK_SECONDS_OF] = SCHEMA_LOCK_SECONDS
    try:
        yield
    finally:
        del connection.info[sqlite.LOCK_SECONDS_OF]
        sqlite.set_pragmas(driver, "foreign_keys=ON")


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise RuntimeError(f"a row of {broken[0]} would refer to a row of {broken[2]} that is not there")


@dataclass(frozen=True)
class Doors:
    """The doors that a service is given."""

    clock: Clock
    ids: Ids
    db: Db
