"""Which line of commits a statement reads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class History(FunctionElement[str]):
    """The same as long as nothing that was once read can be undone; read with what it vouches for.

    A standby that is promoted after its primary was lost may lack the last commits, and then counts the
    same generations again with other content. A running server never goes back, so its start names its
    history; the number of the table differs where a database was put in place of another. One file of
    SQLite has one history.
    """

    type = String()
    inherit_cache = True


@compiles(History)
def _anywhere(_element: History, _compiler: Any, **_options: Any) -> str:
    return "''"


@compiles(History, "postgresql")
def _on_postgresql(_element: History, _compiler: Any, **_options: Any) -> str:
    return "(extract(epoch FROM pg_postmaster_start_time())::text || '.' || 'pool'::regclass::oid::text)"
