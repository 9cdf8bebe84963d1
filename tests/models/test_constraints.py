"""The database itself refuses what no code may write: each constraint is broken once on each database.

The cases come from the tables. A new column, key or constraint is tested without a line here; a new CHECK
fails `test_every_check_has_a_row_that_breaks_it` until such a row stands in `BREAKING`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import CheckConstraint, Connection, Engine, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError

from booking import migrate
from booking.doors import open_engine
from booking.models import Base
from tests.support.postgres import database
from tests.support.rows import put, put_parents, valid

Row = dict[str, Any]
TABLES = Base.metadata.sorted_tables

AMOUNTS: list[Row] = [{"cores": -1}, {"memory_mib": -1}, {"gpus": -1}, {"disk_gib": -1}]
SIZES: list[Row] = [
    {"notebook_cores": 0},
    {"notebook_memory_mib": 0},
    {"worker_cores": -1},
    {"worker_memory_mib": -1},
    {"worker_count": -1},
]
BACKWARDS: list[Row] = [{"start": 20, "end": 20}, {"start": 20, "end": 10}]
BREAKING: dict[str, list[Row]] = {
    "ck_account_kind_known": [{"kind": "robot"}],
    "ck_account_level_not_negative": [{"level": -1}],
    "ck_blackout_amounts_not_negative": AMOUNTS,
    "ck_blackout_start_before_end": BACKWARDS,
    "ck_booking_revision_positive": [{"revision": 0}],
    "ck_booking_sharing_known": [{"sharing": "lent"}],
    "ck_booking_side_known": [{"side": "left"}],
    "ck_booking_sizes_positive": SIZES,
    "ck_cluster_attempts_not_negative": [{"attempts": -1}],
    "ck_cluster_phase_known": [{"phase": "lost"}],
    "ck_host_amounts_not_negative": AMOUNTS,
    "ck_installation_only_one": [{"id": 2}],
    "ck_inventory_amounts_not_negative": AMOUNTS,
    "ck_inventory_start_before_end": BACKWARDS,
    "ck_ledger_amount_not_zero": [{"amount": 0}],
    "ck_ledger_kind_known": [{"kind": "tapes"}],
    "ck_ledger_side_known": [{"side": "left"}],
    "ck_ledger_start_before_end": BACKWARDS,
    "ck_level_level_not_negative": [{"level": -1}],
    "ck_membership_role_known": [{"role": "owner"}],
    "ck_package_lead_not_negative": [{"lead_minutes": -1}],
    "ck_package_sizes_positive": SIZES,
    "ck_package_version_positive": [{"version": 0}],
    "ck_pause_only_one": [{"id": 2}],
    "ck_platform_lead_not_negative": [{"lead_minutes": -1}],
    "ck_platform_teardown_not_negative": [{"teardown_seconds": -1}],
    "ck_pledge_attempts_not_negative": [{"attempts": -1}],
    "ck_pledge_phase_known": [{"phase": "dreaming"}],
    "ck_pledge_revision_positive": [{"revision": 0}],
    "ck_pool_amounts_not_negative": AMOUNTS,
    "ck_pool_generation_not_negative": [{"generation": -1}],
    "ck_pool_granularity_known": [{"granularity": "week"}],
    "ck_pool_share_ratio_at_least_one": [{"share_ratio_milli": 999}],
    "ck_refusal_core_minutes_not_negative": [{"core_minutes": -1}],
    "ck_refusal_sharing_known": [{"sharing": "lent"}],
    "ck_refusal_start_before_end": BACKWARDS,
    "ck_refusal_times_positive": [{"times": 0}],
    "ck_reservation_only_holds_expire": [
        {"state": "held", "expires_at": None},
        {"state": "confirmed", "expires_at": 5},
    ],
    "ck_reservation_outcome_known": [{"outcome": "dreaming"}],
    "ck_reservation_revision_positive": [{"revision": 0}],
    "ck_reservation_start_before_end": BACKWARDS,
    "ck_reservation_state_known": [{"state": "dreaming"}],
    "ck_stranger_amounts_not_negative": AMOUNTS,
    "ck_stranger_start_before_end": BACKWARDS,
    "ck_stray_verdict_known": [{"verdict": "perhaps"}],
    "ck_template_minutes_positive": [{"minutes": 0}],
    "ck_template_sharing_known": [{"sharing": "lent"}],
    "ck_wanted_lapses_not_negative": [{"lapses": -1}],
    "ck_wanted_offers_are_held": [
        {"state": "offered", "offered_until": 5, "booking_id": None},
        {"state": "taken", "booking_id": None},
    ],
    "ck_wanted_only_offers_expire": [{"state": "offered", "offered_until": None}, {"offered_until": 5}],
    "ck_wanted_sharing_known": [{"sharing": "lent"}],
    "ck_wanted_sizes_positive": SIZES,
    "ck_wanted_start_before_end": BACKWARDS,
    "ck_wanted_state_known": [{"state": "dreaming"}],
    "ck_work_action_known": [{"action": "rest"}],
    "ck_work_attempts_not_negative": [{"attempts": -1}],
}

NUMBERED_BY_SQLITE = {"level.level", "installation.id", "pause.id"}
"""A lone INTEGER key: there SQLite takes NULL for `the next number`."""


def checks(table: Table) -> list[str]:
    return sorted(str(c.name) for c in table.constraints if isinstance(c, CheckConstraint))


def required() -> Iterator[Any]:
    for table in TABLES:
        for column in table.columns:
            if not column.nullable:
                yield pytest.param(table, column.name, id=f"{table.name}.{column.name}")


def references() -> Iterator[Any]:
    for table in TABLES:
        for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name)):
            yield pytest.param(table, key.column_keys, str(key.name), id=str(key.name))


def uniques() -> Iterator[Any]:
    for table in TABLES:
        keys = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
        for key in sorted(keys, key=lambda key: str(key.name)):
            yield pytest.param(table, [c.name for c in key.columns], str(key.name), id=str(key.name))
        for index in table.indexes:
            assert not index.unique, f"{index.name}: a unique index has no case here; use UniqueConstraint"


def broken_checks() -> Iterator[Any]:
    for table in TABLES:
        for name in checks(table):
            for changes in BREAKING.get(name, []):
                told = ",".join(f"{column}={value}" for column, value in changes.items())
                yield pytest.param(table, name, changes, id=f"{name}-{told}")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shared_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One database for all cases of this file; each is rolled back."""
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("constraints") / "booking.db"
        engine = open_engine(f"sqlite:///{path}")
        migrate.upgrade(engine)
        yield engine
        engine.dispose()
        return
    server = request.getfixturevalue("postgres_server")
    with database(server, f"booking_constraints_{uuid4().hex}") as url:
        engine = open_engine(url)
        migrate.upgrade(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def connection(shared_engine: Engine) -> Iterator[Connection]:
    with shared_engine.connect() as connection:
        yield connection
        connection.rollback()


def test_every_check_has_a_row_that_breaks_it() -> None:
    assert {name for table in TABLES for name in checks(table)} == set(BREAKING)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_valid_row_is_accepted(connection: Connection, table: Table) -> None:
    put_parents(connection, table, 1)
    put(connection, table, valid(table, 1))


@pytest.mark.parametrize("table, column", list(required()))
def test_a_required_value_cannot_be_missing(connection: Connection, table: Table, column: str) -> None:
    put_parents(connection, table, 1)
    row = valid(table, 1) | {column: None}
    if connection.dialect.name == "sqlite" and f"{table.name}.{column}" in NUMBERED_BY_SQLITE:
        put(connection, table, row)
        return
    with pytest.raises(IntegrityError) as refused:
        put(connection, table, row)
    assert_broken(refused.value, column, on_sqlite=f"NOT NULL constraint failed: {table.name}.{column}")


@pytest.mark.parametrize("table, columns, name", list(references()))
def test_a_row_cannot_refer_to_nothing(
    connection: Connection, table: Table, columns: list[str], name: str
) -> None:
    put_parents(connection, table, 1)
    with pytest.raises(IntegrityError) as refused:
        put(connection, table, valid(table, 1) | dict.fromkeys(columns, "nobody"))
    assert_broken(refused.value, name, on_sqlite="FOREIGN KEY constraint failed")


@pytest.mark.parametrize("table, columns, name", list(uniques()))
def test_two_rows_cannot_share_a_key(
    connection: Connection, table: Table, columns: list[str], name: str
) -> None:
    put_parents(connection, table, 1)
    first = valid(table, 1)
    put(connection, table, first)
    put_parents(connection, table, 2)
    with pytest.raises(IntegrityError) as refused:
        put(connection, table, valid(table, 2) | {column: first[column] for column in columns})
    listed = ", ".join(f"{table.name}.{column}" for column in columns)
    assert_broken(refused.value, name, on_sqlite=f"UNIQUE constraint failed: {listed}")


@pytest.mark.parametrize("table, name, changes", list(broken_checks()))
def test_a_row_cannot_break_a_check(connection: Connection, table: Table, name: str, changes: Row) -> None:
    put_parents(connection, table, 1)
    with pytest.raises(IntegrityError) as refused:
        put(connection, table, valid(table, 1) | changes)
    assert_broken(refused.value, name, on_sqlite=f"CHECK constraint failed: {name}")


def assert_broken(error: IntegrityError, name: str, *, on_sqlite: str) -> None:
    """PostgreSQL names the constraint (or the column that is missing); SQLite says its own sentence."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is None:
        assert str(error.orig) == on_sqlite
    else:
        assert (diagnosis.constraint_name or diagnosis.column_name) == name
