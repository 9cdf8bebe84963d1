"""Brings the tables of a database to the state that this code knows.

Every start may ask for it: a database that is current is left alone, and of several processes that start
at once one migrates while the others wait.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import IntegrityError, ProgrammingError

from booking.doors import Db, SystemClock, change_schema
from booking.resources import migrations_path

_OWNED = (
    "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
    "AND tablename <> 'alembic_version' AND pg_has_role(tableowner, 'USAGE')"
)
"""What only owners may do needs no lock on what belongs to others, and none is to be had."""
_WAIT_SECONDS = 2
"""The wait for the tables; less than a request waits for a lock (`postgres.SERVING_LOCK_SECONDS`)."""
_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


class DatabaseIsNewer(Exception):
    """The database was migrated by a later release; this one would misread it."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database is at revision {revision}, which this release does not know (it ends at {head()}). "
            "Install the release that made it, or restore a backup from before that upgrade."
        )
        self.revision = revision


def upgrade(engine: Engine, to: str = "head") -> None:
    """Migrate up to a revision, all of it or nothing; safe when several processes do so at once.

    :raises DatabaseIsNewer: if the database is at a revision that this release does not know.
    :raises Unavailable: if the database cannot be reached or written.
    """
    if is_current(engine):
        return
    _migrate(engine, lambda config: command.upgrade(config, to))


def downgrade(engine: Engine, to: str) -> None:
    """Migrate down to a revision; `base` is the empty database. What the later tables held is lost.

    :raises DatabaseIsNewer: if the database is at a revision that this release does not know.
    """
    _migrate(engine, lambda config: command.downgrade(config, to))


def rebuild(
    engine: Engine, revision: str, fill: Callable[[Connection], None], settle: Callable[[Connection], None]
) -> None:
    """In ONE transaction: drop every table, make those of `revision`, `fill` them, migrate up, and `settle`.

    :raises DatabaseIsNewer: if the database is at a revision that this release does not know.
    :raises Unavailable: if the database cannot be reached or written.
    """

    def act(config: Config) -> None:
        connection = config.attributes["connection"]
        command.downgrade(config, "base")
        command.upgrade(config, revision)
        fill(connection)
        command.upgrade(config, "head")
        settle(connection)

    _migrate(engine, act)


def current(engine: Engine) -> str | None:
    """The revision of the database; None where it was never migrated.

    :raises Unavailable: if the database cannot be reached.
    """
    return Db(engine, SystemClock()).read("revision", lambda session: _revision(session.connection()))


@cache
def head() -> str:
    """The newest revision that this release knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise FileNotFoundError(f"no migration in {migrations_path()}: the installation is damaged")
    return revision


def is_known(revision: str) -> bool:
    """Whether this release has a migration to that revision."""
    try:
        return ScriptDirectory.from_config(_config()).get_revision(revision) is not None
    except CommandError:
        return False


def is_current(engine: Engine) -> bool:
    """Whether the database is at :func:`head`.

    :raises Unavailable: if the database cannot be reached.
    """
    return current(engine) == head()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    # The parser of the configuration reads a lone percent sign as the start of a reference.
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    return config


def _migrate(engine: Engine, act: Callable[[Config], None]) -> None:
    def migrate(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            # Held until the commit; readers are not stopped. SQLite took its only write lock at the start.
            connection.exec_driver_sql("LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE")
        _refuse_newer(connection)
        if connection.dialect.name == "postgresql":
            _lock_tables(connection)
        config = _config()
        config.attributes["connection"] = connection
        act(config)

    _make_version_table(engine)
    change_schema(engine, migrate)


def _lock_tables(connection: Connection) -> None:
    """Lock every table that is ours, so that from here on nobody makes this transaction wait, nor crosswise.

    Whoever writes locks what is referred to before what refers to it, nearly always; so does this. It lets
    go and tries again rather than hold up those who came after it behind somebody who is slow.
    """
    owned = set(connection.exec_driver_sql(_OWNED).scalars())
    names = [n for n, _ in inspect(connection).get_sorted_table_and_fkc_names() if n and n in owned]
    if names:
        listed = ", ".join(map(connection.dialect.identifier_preparer.quote, names))
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT_SECONDS}s'")
        connection.exec_driver_sql(f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE")


def _make_version_table(engine: Engine) -> None:
    """Make the table whose lock serialises migrations; where two make it at once, one fails and finds it."""
    try:
        change_schema(engine, lambda connection: connection.exec_driver_sql(_VERSION_TABLE))
    except (IntegrityError, ProgrammingError):
        change_schema(engine, lambda connection: connection.exec_driver_sql(_VERSION_TABLE))


def _refuse_newer(connection: Connection) -> None:
    revision = _revision(connection)
    if revision is None:
        return
    if not is_known(revision):
        raise DatabaseIsNewer(revision)
