"""Connections to PostgreSQL on which nobody waits without end; a part of the door `Db`."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from sqlalchemy import Dialect

from booking.pipe import COMMIT, Pipe, Rows, Said

LOCK_SECONDS = 5
"""How long one attempt waits for a lock that somebody else holds."""
IDLE_SECONDS = 60
"""PostgreSQL ends a transaction that does nothing for so long: a stalled process shall not lock a pool."""
SERVING_IDLE_SECONDS = 10
"""The same for web and scheduler, whose transactions take moments; a command may think for longer."""
SERVING_LOCK_SECONDS = 3
"""How long web and scheduler wait for a lock: less than a request has, so that it is not taken for a silence."""
CONNECT_SECONDS = 2
"""How long a connection to PostgreSQL may take to be made; the driver's own patience is minutes."""
REQUEST_SECONDS = 4.5
"""How long one HTTP request waits for PostgreSQL all in all: even who queued behind another has an answer
within 10 seconds."""
TRANSACTION_SECONDS = 15
"""How long one transaction of a scheduler waits for PostgreSQL; the server ends a statement then, too."""
_NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    # A machine that has vanished is noticed within these; one that only stays silent, by `within`.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What a connection to PostgreSQL is made with, unless the URL says otherwise; a Unix socket ignores most."""


_WELL_SECONDS = 1.0
"""A connection that was used within so long is not asked whether it still works before it is used."""

_until: ContextVar[float] = ContextVar("until", default=math.inf)
"""When the present task stops waiting for PostgreSQL, on the machine's monotonic clock."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What runs here waits for PostgreSQL no longer than that, all in all; then it is `Unavailable`."""
    token = _until.set(min(_until.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _until.reset(token)


def time_left() -> float:
    """How many seconds the present task may still wait for PostgreSQL."""
    return _until.get() - time.monotonic()


class Connection(psycopg.Connection[Any]):
    """A connection on which nobody waits longer than :func:`within` allows.

    The time-outs of TCP do not see a peer that acknowledges everything and answers nothing. What a transaction
    writes may wait for its commit, so that the server is waited for once; whatever is asked before comes after it.
    """

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._pipe = Pipe(self)
        self._later: list[Said] = []
        self._used = -math.inf

    def is_well(self) -> bool:
        """Whether it was used just now, and nothing was heard of its end since: a server that ends, ends all of
        them, and that is seen without asking."""
        if self.closed or time.monotonic() > self._used + _WELL_SECONDS:
            return False
        look = select.poll()
        look.register(self.pgconn.socket, select.POLLIN)
        return not look.poll(0)

    def ask(self, said: Sequence[Said]) -> list[Rows]:
        """The rows that each finds, asked at once.

        :raises psycopg.Error: as :meth:`execute` would.
        """
        later, self._later = self._later, []
        found = self._pipe.exchange([*later, *said])[len(later) :]
        self._used = time.monotonic()
        return found

    def later(self, said: Said) -> None:
        """Execute it with the commit, or before the next statement; nobody sees what it finds."""
        self._later.append(said)

    def cursor(self, *words: Any, **named: Any) -> Any:
        if self._later:
            self.ask([])
        return super().cursor(*words, **named)

    def commit(self) -> None:
        if not self._later:
            return super().commit()
        try:
            self.ask([COMMIT])
        except psycopg.Error:
            if not self.closed:  # a transaction ends with its commit, whatever comes of it
                super().rollback()
            raise

    def rollback(self) -> None:
        self._later.clear()
        super().rollback()

    def _deallocate(self, name: bytes | None) -> Any:
        """How the driver lets the server forget what it had prepared; without a name, everything."""
        if name is None:
            self._pipe.forget()
        return super()._deallocate(name)

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        left = time_left()
        try:
            return super().wait(gen, interval, timeout if left == math.inf else max(left, 0.0))
        except psycopg.OperationalError:
            if time_left() <= 0:
                self.close()  # what was asked may still be answered: nobody must take that for theirs
            raise


def connect(_dialect: object, _record: object, words: Any, named: dict[str, Any]) -> Connection:
    """A new connection, as SQLAlchemy asks for it.

    :raises ConnectionTimeout: if there is not enough time left.
    """
    if time_left() < CONNECT_SECONDS:
        raise psycopg.errors.ConnectionTimeout("there is no time left to connect")
    return Connection.connect(*words, **_NETWORK | named)


def ping(dialect: Dialect) -> Callable[[Any], bool]:
    """How a pool asks whether a connection still works."""
    asked = dialect.do_ping
    return lambda connection: connection.is_well() or asked(connection)


def set_patient(connection: Connection, _record: object) -> None:
    """Prepare a connection for a command that a person waits for."""
    _set(connection, lock=LOCK_SECONDS, idle=IDLE_SECONDS)


def set_serving(connection: Connection, _record: object) -> None:
    """Prepare a connection for web and scheduler."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = '{TRANSACTION_SECONDS}s'".encode())
    _set(connection, lock=SERVING_LOCK_SECONDS, idle=SERVING_IDLE_SECONDS)


def _set(connection: Connection, *, lock: int, idle: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET lock_timeout = '{lock}s';"
            f"SET idle_in_transaction_session_timeout = '{idle}s';"
            # A promise is on disk before it is told, whatever this server does by default.
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'".encode()
        )
    connection.commit()
