"""A primary and its standby, and the address of whichever of them may be written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import URL

from tests.support.postgres import DURABLE, PostgresServer, conninfo

NAME = "walreceiver"
"""What a standby calls itself where it does not say otherwise."""
PATIENCE = 30.0


def asked(url: URL, *statements: str) -> Any:
    """The first value that the last of some statements answers, each in a transaction of its own."""
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def awaited(what: str, holds: Callable[[], bool]) -> None:
    """Wait until it holds.

    :raises RuntimeError: if it does not in time.
    """
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"waited in vain: {what}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Pair:
    """Two servers with one history, until the first is lost."""

    primary: PostgresServer
    standby: PostgresServer

    def url(self, name: str) -> URL:
        """A database by the addresses of both; the driver takes the one that may be written."""
        hosts = ",".join(str(server.url.query["host"]) for server in (self.primary, self.standby))
        return self.primary.url.set(
            database=name, query={"host": hosts, "target_session_attrs": "read-write"}
        )

    def wait_for_standby(self) -> None:
        """Make every commit wait until the standby has it."""
        change = f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'"
        asked(self.primary.url, change, "SELECT pg_reload_conf()")
        query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        awaited("a synchronous standby", lambda: asked(self.primary.url, query) == 1)

    def caught_up(self) -> None:
        """Wait until the standby has everything."""
        end = asked(self.primary.url, "SELECT pg_current_wal_flush_lsn()")
        query = f"SELECT pg_last_wal_replay_lsn() >= '{end}'::pg_lsn"
        awaited("the standby to catch up", lambda: asked(self.standby.url, query) is True)

    def cut(self) -> None:
        """From here on nothing reaches the standby: what is committed now is the tail that will be lost."""
        change = "ALTER SYSTEM SET primary_conninfo = ''"
        asked(self.standby.url, change, "SELECT pg_reload_conf()")
        query = "SELECT count(*) FROM pg_stat_wal_receiver"
        awaited("the standby to be cut off", lambda: asked(self.standby.url, query) == 0)

    def fail_over(self) -> None:
        """Lose the primary and let the standby take its place."""
        self.primary.kill()
        asked(self.standby.url, "SELECT pg_promote(true, 30)")
        awaited("a promotion", lambda: asked(self.standby.url, "SELECT pg_is_in_recovery()") is False)


@contextmanager
def pair() -> Iterator[Pair]:
    """A primary with an empty database `booking`, and a standby that follows it."""
    settings = DURABLE | {"max_wal_senders": "4", "wal_level": "replica", "wal_keep_size": "64MB"}
    with PostgresServer(settings) as primary:
        asked(primary.url, "CREATE DATABASE booking TEMPLATE template0")
        with PostgresServer(settings, source=primary) as standby:
            yield Pair(primary, standby)
