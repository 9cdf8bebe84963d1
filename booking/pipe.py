"""Statements to PostgreSQL that are sent at once and waited for once; a part of the door `Db`.

The driver's own pipeline sends each statement by itself, and waits for the beginning of a transaction. This one
knows what the application's own statements need: values and what is found go as text, and a statement is prepared
when it is first sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq.abc import PGresult


class Said(NamedTuple):
    """A statement with `$1`, `$2` for its values."""

    text: bytes
    values: Sequence[Any] = ()


Rows = list[tuple[Any, ...]]
COMMIT = Said(b"COMMIT")


class Pipe:
    """Sends statements over one connection, several at once."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection, self._server = connection, connection.pgconn
        self._names: dict[bytes, bytes] = {}
        """The statements that the server has prepared, each by its name."""
        self._named = 0

    def forget(self) -> None:
        """The server knows no statements any more."""
        self._names.clear()

    def exchange(self, said: Sequence[Said]) -> list[Rows]:
        """The rows that each finds, in order, in a transaction that begins with the first; when one fails, those
        after it are not done.

        :raises psycopg.Error: as the server tells of the one that failed.
        """
        if self._server.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("the connection is closed")
        idle = self._server.transaction_status == pq.TransactionStatus.IDLE
        begins = idle and not self._connection.autocommit
        new: dict[bytes, bytes] = {}
        try:
            with self._connection.lock:
                self._server.enter_pipeline_mode()
                results = self._connection.wait(
                    self._exchanged([self._beginning(), *said] if begins else said, new)
                )
                self._server.exit_pipeline_mode()
        except BaseException:
            self._connection.close()  # what was asked may still be answered: nobody must take that for theirs
            raise
        for result in results:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
        self._names |= new
        return [self._rows(result) for result in results[begins:]]

    def _beginning(self) -> Said:
        level, words = self._connection.isolation_level, [b"BEGIN"]
        if level is not None:
            words += [b"ISOLATION LEVEL", level.name.replace("_", " ").encode()]
        if self._connection.read_only:
            words.append(b"READ ONLY")
        return Said(b" ".join(words))

    def _exchanged(self, said: Sequence[Said], new: dict[bytes, bytes]) -> PQGen[list[PGresult]]:
        """The result of each; of one that could not be prepared, why."""
        answers = [self._send(one, new) for one in said]
        self._server.pipeline_sync()
        yield from generators.send(self._server)
        results = []
        for count in answers:
            parts = []
            for _ in range(count):
                parts += yield from generators.fetch_many(self._server)
            results.append(
                next((part for part in parts if part.status == pq.ExecStatus.FATAL_ERROR), parts[-1])
            )
        yield from generators.fetch_many(self._server)  # that all of it has been done
        return results

    def _send(self, said: Said, new: dict[bytes, bytes]) -> int:
        """How many answers there will be."""
        given = Transformer(self._connection).dump_sequence(said.values, [PyFormat.TEXT] * len(said.values))
        if self._connection.prepare_threshold is None:  # whoever stands between may know nothing of such
            self._server.send_query_params(said.text, given)
            return 1
        name = self._names.get(said.text) or new.get(said.text)
        if name is not None:
            self._server.send_query_prepared(name, given)
            return 1
        self._named += 1
        name = new[said.text] = f"booking_{self._named}".encode()
        self._server.send_prepare(name, said.text)
        self._server.send_query_prepared(name, given)
        return 2

    def _rows(self, result: PGresult) -> Rows:
        if not result.ntuples:
            return []
        loads = Transformer(self._connection)
        loads.set_pgresult(result)
        return loads.load_rows(0, result.ntuples, tuple)
