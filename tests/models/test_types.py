"""Time and choices cross into the database in one form only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import StatementError

from booking.allocator.lifecycle import State
from booking.doors import Db
from booking.models import Base, Inventory, Journal
from booking.models.base import Choice
from tests.support.rows import put, put_parents, valid

NAIVE = datetime(2030, 1, 7, 9)  # noqa: DTZ001  # the mistake itself
INDIA = timezone(timedelta(hours=5, minutes=30))


def owned(start: datetime, end: datetime) -> Inventory:
    return Inventory(
        id="i1", pool_id="pool-id-1", start=start, end=end, reason="bought", created_at=datetime.now(UTC)
    )


def act(at: datetime) -> Journal:
    return Journal(id="j1", at=at, action="pool.created", subject="pool:1")


@pytest.fixture
def pool(db: Db) -> None:
    table = Base.metadata.tables["inventory"]
    db.run("put a pool", lambda session: put_parents(session.connection(), table, 1))


def test_a_span_without_an_offset_is_refused_before_it_reaches_the_database(db: Db, pool: None) -> None:
    with pytest.raises(StatementError, match="needs an offset"):
        db.run("naive", lambda session: session.add(owned(NAIVE, NAIVE + timedelta(hours=1))))


def test_a_span_that_starts_within_a_minute_is_refused(db: Db, pool: None) -> None:
    start = datetime(2030, 1, 7, 9, 0, 1, tzinfo=UTC)
    with pytest.raises(StatementError, match="whole minute"):
        db.run("seconds", lambda session: session.add(owned(start, start + timedelta(hours=1))))


def test_an_instant_without_an_offset_is_refused_before_it_reaches_the_database(db: Db) -> None:
    with pytest.raises(StatementError, match="needs an offset"):
        db.run("naive", lambda session: session.add(act(NAIVE)))


def test_a_question_with_an_instant_without_an_offset_is_refused_too(db: Db) -> None:
    with pytest.raises(StatementError, match="needs an offset"):
        db.read("naive", lambda session: session.scalars(select(Journal).where(Journal.at < NAIVE)).all())


def test_a_span_comes_back_in_utc_whatever_offset_it_had(db: Db, pool: None) -> None:
    start = datetime(2030, 1, 7, 9, tzinfo=INDIA)
    db.run("add", lambda session: session.add(owned(start, start + timedelta(days=1))))
    row = db.read("get", lambda session: session.get_one(Inventory, "i1"))
    assert (row.start.isoformat(), row.end.isoformat()) == (
        "2030-01-07T03:30:00+00:00",
        "2030-01-08T03:30:00+00:00",
    )


def test_a_span_is_stored_as_minutes_so_that_both_databases_compare_it_as_time(db: Db, pool: None) -> None:
    start = datetime(1970, 1, 1, 2, tzinfo=UTC)
    db.run("add", lambda session: session.add(owned(start, start + timedelta(hours=1))))
    stored = db.read("raw", lambda session: session.execute(text('SELECT start, "end" FROM inventory')).one())
    assert tuple(stored) == (120, 180)


@pytest.mark.parametrize(
    "at",
    [
        datetime(2030, 1, 7, 9, 0, 0, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9000, 1, 1, tzinfo=UTC),
        datetime(2030, 1, 7, 9, tzinfo=INDIA),
    ],
    ids=str,
)
def test_an_instant_comes_back_to_the_microsecond(db: Db, at: datetime) -> None:
    db.run("add", lambda session: session.add(act(at)))
    row = db.read("get", lambda session: session.get_one(Journal, "j1"))
    assert row.at == at
    assert row.at.utcoffset() == timedelta()


def test_the_two_passes_of_a_repeated_hour_stay_apart(db: Db) -> None:
    first = datetime(2030, 10, 27, 0, 30, tzinfo=UTC)
    second = first + timedelta(hours=1)

    def write(session):  # type: ignore[no-untyped-def]
        session.add(Journal(id="late", at=second, action="a", subject="s"))
        session.add(Journal(id="early", at=first, action="a", subject="s"))

    db.run("add", write)
    ids = db.read("order", lambda session: session.scalars(select(Journal.id).order_by(Journal.at)).all())
    assert list(ids) == ["early", "late"]


def test_a_value_outside_an_enum_is_refused_before_it_reaches_the_database(db: Db) -> None:
    table = Base.metadata.tables["reservation"]
    with pytest.raises(StatementError, match="dreaming"):
        db.run("odd", lambda session: session.execute(table.update().values(state="dreaming")))


def test_a_choice_comes_back_as_a_member_of_its_enum(db: Db) -> None:
    table = Base.metadata.tables["reservation"]

    def write(session):  # type: ignore[no-untyped-def]
        put_parents(session.connection(), table, 1)
        put(session.connection(), table, valid(table, 1))

    db.run("add", write)
    assert isinstance(table.c.state.type, Choice)
    assert db.read("get", lambda session: session.scalar(select(table.c.state))) is State.CONFIRMED
