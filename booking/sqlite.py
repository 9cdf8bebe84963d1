"""Connections to SQLite, and who of those that want to write comes next; a part of the door `Db`."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Connection

from booking import metrics
from booking.postgres import LOCK_SECONDS

_LOOK_SECONDS = 0.001
"""How often a writer looks whether it is its turn. SQLite itself looks after up to 100 ms: whoever has waited
for long would look seldom, and those who have just come would go first."""

LOCK_SECONDS_OF = "lock seconds"
"""Where a connection says that it waits for another time than :data:`LOCK_SECONDS`."""


def connect(connection: Any, _record: object) -> None:
    """Prepare a new connection."""
    connection.isolation_level = None
    wait = f"busy_timeout={LOCK_SECONDS * 1000}"
    set_pragmas(connection, wait)
    _keep_a_log(connection)
    set_pragmas(connection, "synchronous=FULL", "foreign_keys=ON")


def _keep_a_log(connection: Any) -> None:
    """Switch a new file to its write-ahead log; a file that has one is left as it is.

    Of several processes that open a new file at once one switches it. The others are told at once that it is
    locked, whatever they said of waiting: SQLite does not wait where two could wait for each other.
    """
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return set_pragmas(connection, "journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_LOOK_SECONDS)


def set_pragmas(connection: Any, *settings: str) -> None:
    """Set each `name=value` on the driver's own connection."""
    cursor = connection.cursor()
    for setting in settings:
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def begin(connection: Connection) -> None:
    """Begin a transaction: one that writes takes its lock here, in any other a write is refused."""
    options = connection.get_execution_options()
    writes = options.get("booking_writes", True)
    driver = connection.connection.driver_connection
    if connection.info.get("writes") is not writes:
        set_pragmas(driver, f"query_only={'OFF' if writes else 'ON'}")
        connection.info["writes"] = writes
    if not writes:
        connection.exec_driver_sql("BEGIN")
        return
    with metrics.DATABASE_LOCK.time():
        _begin_immediate(connection, driver)


def _begin_immediate(connection: Connection, driver: Any) -> None:
    set_pragmas(driver, "busy_timeout=0")
    try:
        for _ in range(int(connection.info.get(LOCK_SECONDS_OF, LOCK_SECONDS) / _LOOK_SECONDS)):
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY":
                    break
                time.sleep(_LOOK_SECONDS)
            else:
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # its error is told as that of any statement
    finally:
        set_pragmas(driver, f"busy_timeout={LOCK_SECONDS * 1000}")


def checkin(connection: Any, _record: object) -> None:
    """A commit that failed may leave its transaction open, and with it the write lock."""
    if connection is not None and connection.in_transaction:
        connection.rollback()
