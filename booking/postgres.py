"""Connections to PostgreSQL on which nobody waits without end; a part of the door `Db`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg

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


class _Connection(psycopg.Connection[Any]):
    """A connection on which nobody waits longer than :func:`within` allows.

    The time-outs of TCP do not see a peer that acknowledges everything and answers nothing.
    """

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        left = time_left()
        try:
            return super().wait(gen, interval, timeout if left == math.inf else max(left, 0.0))
        except psycopg.OperationalError:
            if time_left() <= 0:
                self.close()  # what was asked may still be answered: nobody must take that for theirs
            raise


def connect(_dialect: object, _record: object, words: Any, named: dict[str, Any]) -> _Connection:
    """A new connection, as SQLAlchemy asks for it.

    :raises ConnectionTimeout: if there is not enough time left.
    """
    if time_left() < CONNECT_SECONDS:
        raise psycopg.errors.ConnectionTimeout("there is no time left to connect")
    return _Connection.connect(*words, **_NETWORK | named)


def set_patient(connection: _Connection, _record: object) -> None:
    """Prepare a connection for a command that a person waits for."""
    _set(connection, lock=LOCK_SECONDS, idle=IDLE_SECONDS)


def set_serving(connection: _Connection, _record: object) -> None:
    """Prepare a connection for web and scheduler."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = '{TRANSACTION_SECONDS}s'".encode())
    _set(connection, lock=SERVING_LOCK_SECONDS, idle=SERVING_IDLE_SECONDS)


def _set(connection: _Connection, *, lock: int, idle: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET lock_timeout = '{lock}s';"
            f"SET idle_in_transaction_session_timeout = '{idle}s';"
            # A promise is on disk before it is told, whatever this server does by default.
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'".encode()
        )
    connection.commit()
