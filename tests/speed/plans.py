"""How a database would run a statement: whether it reads the whole of a table that grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from booking.models import Base
from booking.pipe import Said
from tests.speed.asking import Statement

SET_BY_HAND = {
    "platform",
    "pool",
    "package",
    "level",
    "installation",
    "leadership",
    "pause",
    "stray",
    "snapshot",
    "template",
}
"""Tables with a row for each thing that an administrator has set up; all others grow with every use."""
GROWING = set(Base.metadata.tables) - SET_BY_HAND
_SCAN = re.compile(r"^SCAN (\w+)(.*)$")


def faults(connection: Connection, statement: Statement) -> list[str]:
    """The tables that grow and that the statement reads from end to end, as the database says it.

    It must not have counted its rows: of few it reads all rather than go by an index. PostgreSQL
    is asked without the ways that read whole tables although there is an index: it then does so only for want of one.
    """
    if connection.dialect.name == "sqlite":
        return list(_of_sqlite(connection, statement))
    for way in ("seqscan", "mergejoin", "hashjoin"):
        connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    explain = f"EXPLAIN (FORMAT JSON) {statement.text}"
    if "$1" in statement.text:  # as the driver got it from those who do without SQLAlchemy
        driver: Any = connection.connection.driver_connection
        ((plan,),) = driver.ask([Said(explain.encode(), statement.parameters)])[0]
    else:
        plan = connection.exec_driver_sql(explain, statement.parameters).scalar_one()
    return list(_of_postgresql(plan[0]["Plan"]))


def _of_sqlite(connection: Connection, statement: Statement) -> Iterator[str]:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters)
    for *_, said in rows:
        found = _SCAN.match(said)
        # In the order of an index a list that ends somewhere is read as far as it is shown.
        ends = " LIMIT " in statement.text.replace("\n", " ") and "USING" in said
        if found and _table(found[1]) in GROWING and not ends:
            yield said


def _of_postgresql(node: dict[str, Any], excused: bool = False) -> Iterator[str]:
    kind, table = node["Node Type"], node.get("Relation Name", "")
    # A list that ends somewhere is read as far as it is shown; of a join it may read the smaller side whole.
    excused = excused or kind in ("Limit", "Nested Loop")
    whole = kind == "Seq Scan" or (kind.startswith("Index") and not _is_bounded(node) and not excused)
    if whole and table in GROWING:
        yield f"{kind} on {table}"
    for inner in node.get("Plans", ()):
        yield from _of_postgresql(inner, excused)


def _is_bounded(node: dict[str, Any]) -> bool:
    return "Index Cond" in node or "Recheck Cond" in node


def _table(alias: str) -> str:
    """The table of an alias: `account_1` is `account`."""
    return alias if alias in Base.metadata.tables else re.sub(r"_\d+$", "", alias)


def is_planned(statement: Statement) -> bool:
    """Whether it is one that a database makes a plan of."""
    return statement.text.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH"))
