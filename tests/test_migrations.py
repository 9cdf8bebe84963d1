"""The tables can be made from nothing and from every earlier state, and are those that the code knows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, inspect, select, text

from booking import doors, migrate
from booking.doors import SystemClock, change_schema
from booking.errors import Unavailable
from booking.models import Base
from booking.resources import migrations_path
from tests.support.doors import Opened
from tests.support.postgres import database
from tests.support.rows import put, put_parents, valid
from tests.support.threads import PATIENCE, in_threads

SCRIPTS = ScriptDirectory(str(migrations_path()))
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
EARLIER = REVISIONS[:-1]
Rows = dict[str, list[dict[str, Any]]]

MIGRATE = """
import sys
from booking import migrate
from booking.doors import open_engine
engine = open_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate.upgrade(engine)
engine.dispose()
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with database(request.getfixturevalue("postgres_server"), f"booking_empty_{uuid4().hex}") as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def empty(empty_url: str, opened: Opened) -> Engine:
    return opened(empty_url)


def tables(engine: Engine) -> MetaData:
    """The tables as the database has them, without Alembic's own."""
    found = MetaData()
    found.reflect(engine, only=lambda name, _: name != "alembic_version")
    return found


def fill(engine: Engine) -> None:
    """Put a row into every table."""
    found = tables(engine).sorted_tables
    with engine.begin() as connection:
        for table in found:
            put_parents(connection, table, 1)
            if connection.execute(select(table)).first() is None:
                put(connection, table, valid(table, 1))


def rows(engine: Engine) -> Rows:
    found = tables(engine).sorted_tables
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in found
        }


def as_known(now: Rows, before: Rows) -> Rows:
    """Of the rows as they are now, the tables and columns that there were before."""
    return {
        name: [{key: row[key] for key in rows_before[0]} for row in now[name]]
        for name, rows_before in before.items()
    }


def shape(engine: Engine) -> set[str]:
    """Everything the database says about its tables, a line each; constraints by name and by text."""
    inspector = inspect(engine)
    lines = set()
    for name in (table.name for table in tables(engine).sorted_tables):
        parts: list[Any] = [inspector.get_pk_constraint(name)]
        parts += [{k: str(c[k]) for k in ("name", "type", "nullable")} for c in inspector.get_columns(name)]
        parts += inspector.get_foreign_keys(name)
        parts += inspector.get_unique_constraints(name)
        parts += inspector.get_check_constraints(name)
        parts += inspector.get_indexes(name)
        lines |= {f"{name}: {sorted(part.items(), key=lambda item: str(item[0]))}" for part in parts}
    return lines


def test_there_is_an_earlier_revision_to_come_from() -> None:
    assert EARLIER
    assert REVISIONS[-1] == migrate.head()


def test_a_database_that_was_never_migrated_says_so(empty: Engine) -> None:
    assert migrate.current(empty) is None
    assert not migrate.is_current(empty)


def test_an_empty_database_is_brought_to_the_newest_revision(empty: Engine) -> None:
    migrate.upgrade(empty)
    assert migrate.current(empty) == migrate.head()
    assert migrate.is_current(empty)
    fill(empty)
    assert all(rows(empty).values())


def test_migrating_twice_changes_nothing(empty: Engine) -> None:
    migrate.upgrade(empty)
    fill(empty)
    before = shape(empty), rows(empty)
    migrate.upgrade(empty)
    assert (shape(empty), rows(empty)) == before


@pytest.mark.parametrize("revision", EARLIER)
def test_the_rows_of_each_earlier_revision_are_there_after_the_upgrade(empty: Engine, revision: str) -> None:
    migrate.upgrade(empty, revision)
    fill(empty)
    before = rows(empty)
    assert before
    assert all(before.values())
    migrate.upgrade(empty)
    after = rows(empty)
    assert as_known(after, before) == before
    fill(empty)


@pytest.mark.parametrize("revision", EARLIER)
def test_a_downgrade_leads_back_to_the_same_tables_with_their_rows(empty: Engine, revision: str) -> None:
    migrate.upgrade(empty, revision)
    fill(empty)
    before = shape(empty), rows(empty)
    migrate.upgrade(empty)
    fill(empty)
    migrate.downgrade(empty, revision)
    assert (shape(empty), rows(empty)) == before


def test_a_downgrade_to_the_base_leaves_no_table(empty: Engine) -> None:
    migrate.upgrade(empty)
    fill(empty)
    migrate.downgrade(empty, "base")
    assert tables(empty).sorted_tables == []
    assert migrate.current(empty) is None


def test_a_comparison_of_models_and_migrated_tables_finds_no_difference(empty: Engine) -> None:
    migrate.upgrade(empty)
    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_migrated_tables_are_to_the_letter_those_the_models_would_make(empty: Engine) -> None:
    migrate.upgrade(empty)
    migrated = shape(empty)
    migrate.downgrade(empty, "base")
    with empty.begin() as connection:
        Base.metadata.create_all(connection)
    modelled = shape(empty)
    assert (sorted(migrated - modelled), sorted(modelled - migrated)) == ([], [])


def test_every_name_fits_into_postgresql() -> None:
    names = [str(c.name) for table in Base.metadata.sorted_tables for c in table.constraints]
    names += [str(index.name) for table in Base.metadata.sorted_tables for index in table.indexes]
    assert [name for name in names if len(name) > 63] == []


def test_of_processes_that_start_at_once_one_migrates_and_the_others_wait(
    empty_url: str, opened: Opened
) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_url]
    together = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    try:
        for process in together:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in together:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60)[1].decode() for process in together]
    finally:
        for process in together:
            process.kill()
            process.communicate()
    assert [process.returncode for process in together] == [0, 0], said
    assert migrate.is_current(opened(empty_url))


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE journal (id INTEGER)"))
    with pytest.raises(Exception, match="journal"):
        migrate.upgrade(empty)
    assert migrate.current(empty) is None
    assert [table.name for table in tables(empty).sorted_tables] == ["journal"]


def test_a_database_of_a_later_release_is_refused_and_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = shape(engine)
    assert not migrate.is_current(engine)
    for act in (migrate.upgrade, lambda engine: migrate.downgrade(engine, "base")):
        with pytest.raises(migrate.DatabaseIsNewer, match="9999"):
            act(engine)
    assert migrate.current(engine) == "9999"
    assert shape(engine) == before


def test_a_database_that_cannot_be_reached_is_unavailable(opened: Opened) -> None:
    engine = opened("sqlite:////nowhere/at/all/booking.db")
    for act in (migrate.upgrade, migrate.current, migrate.is_current):
        with pytest.raises(Unavailable):
            act(engine)


def test_the_current_folder_does_not_matter(
    empty: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    migrate.upgrade(empty)
    assert migrate.is_current(empty)


def test_a_database_that_is_current_is_left_alone_while_somebody_holds_the_lock(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "SCHEMA_LOCK_SECONDS", 1)

    def while_locked(connection: Connection) -> str | None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE")
        migrate.upgrade(engine)
        return migrate.current(engine)

    assert change_schema(engine, while_locked) == migrate.head()


@pytest.mark.postgres
@pytest.mark.parametrize("empty_url", ["postgres"], indirect=True)
def test_a_migration_that_begins_while_another_makes_the_first_table_waits_for_it(empty: Engine) -> None:
    with empty.connect() as first:
        first.exec_driver_sql(migrate._VERSION_TABLE)

        def let_go() -> None:
            until_somebody_waits(empty)
            first.commit()

        in_threads(lambda: migrate.upgrade(empty), let_go)
    assert migrate.is_current(empty)


@pytest.mark.postgres
@pytest.mark.parametrize("empty_url", ["postgres"], indirect=True)
def test_a_migration_that_waits_for_somebody_slow_holds_up_nobody_else_for_long(
    empty: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_WAIT_SECONDS", 0.2)
    migrate.upgrade(empty, "0001")
    answered = []
    with empty.connect() as slow:
        slow.execute(text("SELECT count(*) FROM account"))

        def others() -> None:
            try:
                for _ in range(3):
                    until_somebody_waits(empty)
                    with empty.connect() as other:
                        answered.append(other.scalar(text("SELECT count(*) FROM account")))
            finally:
                slow.rollback()

        in_threads(lambda: migrate.upgrade(empty), others)
    assert answered == [0, 0, 0]
    assert migrate.is_current(empty)


@pytest.mark.postgres
@pytest.mark.parametrize("empty_url", ["postgres"], indirect=True)
def test_tables_of_others_beside_ours_are_left_alone(empty: Engine, opened: Opened) -> None:
    name = f"booking_{uuid4().hex}"
    with empty.begin() as connection:
        for words in (
            "CREATE TABLE theirs (id INTEGER)",
            f"CREATE ROLE {name} LOGIN",
            f"GRANT ALL ON SCHEMA public TO {name}",
        ):
            connection.exec_driver_sql(words)
    ours = opened(empty.url.set(username=name).render_as_string(hide_password=False))
    try:
        migrate.upgrade(ours, "0001")
        migrate.upgrade(ours)
        assert migrate.is_current(ours)
    finally:
        ours.dispose()
        with empty.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {name}")
            connection.exec_driver_sql(f"DROP ROLE {name}")


def until_somebody_waits(engine: Engine) -> None:
    """Return once a transaction of PostgreSQL waits for another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE
    while clock.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.scalar(waiting):
                return
    raise TimeoutError("nobody waits for a lock")
