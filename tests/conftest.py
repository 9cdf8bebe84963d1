"""What every test may ask for: a database of each kind, migrated and its own, and doors the test moves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from _pytest.nodeid import NodeId
from sqlalchemy import URL, Engine, make_url

from booking import migrate
from booking.doors import Db, Doors, open_engine
from tests.support.doors import Opened, SequenceIds, TestClock
from tests.support.postgres import PostgresServer, database


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of an `xdist_group` in one process.

    pytest-xdist 3.8 writes the group into `_nodeid`, from which pytest 9.2 no longer reads a test's name.
    """
    for item in items:
        named = getattr(item, "_nodeid", "")
        if named.startswith(f"{item.nodeid}@"):
            item._id = NodeId.parse(named)


@pytest.fixture
def clock() -> TestClock:
    """A clock that stands still until the test moves it."""
    return TestClock()


@pytest.fixture
def ids() -> SequenceIds:
    """Ids that are the same in every run."""
    return SequenceIds()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A migrated SQLite database of this test."""
    path = tmp_path / "booking.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A PostgreSQL server: `BOOKING_TEST_POSTGRES_URL`, or one that lives as long as the run."""
    given = os.environ.get("BOOKING_TEST_POSTGRES_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    with PostgresServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: URL) -> Iterator[str]:
    name = f"booking_template_{uuid4().hex}"
    with database(postgres_server, name) as url:
        _migrated(url)
        yield name


@pytest.fixture
def postgres_url(postgres_server: URL, _postgres_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database of this test."""
    with database(postgres_server, f"booking_{uuid4().hex}", _postgres_template) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database; the test runs once on each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`, with nothing connected any more at the end."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens further engines, by their URL, and leaves nothing connected at the end."""
    engines: list[Engine] = []

    def opens(url: str) -> Engine:
        engines.append(open_engine(url))
        return engines[-1]

    yield opens
    for engine in engines:
        engine.dispose()


@pytest.fixture
def db(engine: Engine, clock: TestClock) -> Db:
    """Transactions on `engine`."""
    return Db(engine, clock)


@pytest.fixture
def doors(clock: TestClock, ids: SequenceIds, db: Db) -> Doors:
    """The doors that a service is given."""
    return Doors(clock, ids, db)


def _migrated(url: str | URL) -> None:
    engine = open_engine(url)
    migrate.upgrade(engine)
    engine.dispose()
