"""Statements as the driver of one kind of database takes them; made once, a part of the door `Db`."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, Select, Table, insert
from sqlalchemy.sql.dml import UpdateBase

Processor = Callable[[Any], Any] | None
Asked = Select[*tuple[Any, ...]]
Statement = Asked | UpdateBase


class Prepared:
    """A statement with what makes the driver's values of ours, and ours of what it finds."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        self.compiled = statement.compile(dialect=dialect)
        """As SQLAlchemy hands it to those who listen to the statements of an engine."""
        binds = self.compiled.bind_names
        # Of several values to choose from each becomes one parameter; the rest is given with each execution.
        awaited = {name: None for bind, name in binds.items() if bind.required}
        expanded = self.compiled.construct_expanded_state(awaited, escape_names=False)
        self.text, self._order = expanded.statement, expanded.positiontup or []
        if dialect.name == "postgresql":
            self.text, self._order = _numbered(self.text)
        self._given = {
            name: expanded.parameters[name] for name in expanded.parameters.keys() - awaited.keys()
        }
        processors = {
            one: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for bind, name in binds.items()
            for one in expanded.parameter_expansion.get(name, [name])
        }
        self._to_driver = [(name, processor) for name, processor in processors.items() if processor]
        columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._from_driver: list[Processor] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        self._row: Any = namedtuple("Row", [column.key for column in columns], rename=True)  # type: ignore[misc]

    def values(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """The parameters with those that stand in the statement itself, in the form of the driver."""
        named = {**self._given, **parameters}
        for name, processor in self._to_driver:
            named[name] = processor(named[name])
        return tuple([named[name] for name in self._order])

    def row(self, found: tuple[Any, ...]) -> Any:
        """A row with the types of the columns."""
        return self._row._make(
            [
                value if processor is None else processor(value)
                for value, processor in zip(found, self._from_driver, strict=True)
            ]
        )


class Insertion(Prepared):
    """How a number of rows is put into a table."""

    def __init__(self, table: Table, rows: int, dialect: Dialect) -> None:
        super().__init__(insert(table).values([dict.fromkeys(table.columns.keys())] * rows), dialect)
        self._columns: list[Processor] = [
            column.type.dialect_impl(dialect).bind_processor(dialect) for column in table.columns
        ]

    def of_rows(self, rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        """The values of the rows one after another, in the form of the driver."""
        return tuple(
            [
                value if processor is None else processor(value)
                for row in rows
                for value, processor in zip(row, self._columns, strict=True)
            ]
        )


@lru_cache(maxsize=512)
def insertion(table: Table, rows: int, dialect: Dialect) -> Insertion:
    """What is made once of each number of rows."""
    return Insertion(table, rows, dialect)


def _numbered(text: str) -> tuple[str, list[str]]:
    """With `$1`, `$2` in place of names, as the server itself takes it; and the names in that order."""
    order: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return f"${order.setdefault(name, len(order) + 1)}" if name else "%"

    return re.sub(r"%(?:\((\w+)\)s|%)", number, text), list(order)


@lru_cache(maxsize=512)
def prepared(statement: Statement, dialect: Dialect) -> Prepared:
    """What is made of a statement that is a constant of its module."""
    return Prepared(statement, dialect)
