"""What is asked at once is found as if asked one by one, and what is written comes with the commit at the latest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, bindparam, event, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from booking import together
from booking.doors import Db
from booking.errors import Unavailable
from booking.models import Platform
from booking.models.store import columns_of, loaded, made, store, table_of
from booking.pipe import Pipe, Rows, Said
from booking.together import Question
from tests.support.doors import Opened, TestClock

_ALL = select(Platform.name, Platform.traits, Platform.lead_minutes).order_by(Platform.name)
_NAMED = select(*columns_of(Platform)).where(Platform.name == bindparam("name"))
_SOME = select(Platform.id).where(Platform.name.in_(["a", "c"]), Platform.id != bindparam("without"))
_RENAME = (
    update(table_of(Platform)).where(Platform.name == bindparam("was")).values(name=bindparam("becomes"))
)


def platform(name: str, **more: Any) -> Platform:
    return made(Platform, id=name, name=name, traits=["fast"], **more)


def names(session: Session) -> list[str]:
    return list(session.scalars(select(Platform.name).order_by(Platform.name)))


@pytest.fixture
def three(db: Db) -> Db:
    db.run("three", lambda session: store(session, *(platform(name) for name in "abc")))
    return db


def test_rows_have_the_types_of_their_columns_and_the_defaults_of_what_they_leave_out(db: Db) -> None:
    db.run("add", lambda session: store(session, platform("a", lead_minutes=5)))
    found = db.read("all", lambda session: together.rows(session, _ALL, {}))
    assert [tuple(row) for row in found] == [("a", ["fast"], 5)]


@pytest.mark.parametrize("many", [1, 8, 9, 30])
def test_any_number_of_rows_is_inserted(db: Db, many: int) -> None:
    new = [f"{number:02}" for number in range(many)]
    db.run("add", lambda session: store(session, *(platform(name) for name in new)))
    assert db.read("names", names) == new


def test_each_question_has_its_own_answer_once(three: Db) -> None:
    asked = Question(_NAMED, {"name": "b"}), Question(_SOME, {"without": "a"}), Question(_ALL, {})

    def ask(session: Session) -> list[Any]:
        together.ask_ahead(session, *asked)
        found = [together.rows(session, *question) for question in asked]
        session.execute(text("UPDATE platform SET name = 'd' WHERE name = 'b'"))
        return [*found, together.rows(session, *asked[0])]

    for _ in range(3):  # what is sent often is prepared
        named, some, everything, again = three.run("ask", ask)
        assert [row.platform_name for row in named] == ["b"]
        assert [tuple(row) for row in some] == [("c",)]
        assert [row.name for row in everything] == ["a", "b", "c"]
        assert again == []
        three.run(
            "back", lambda session: session.execute(text("UPDATE platform SET name = 'b' WHERE id = 'b'"))
        )


def test_what_was_asked_ahead_is_asked_anew_by_who_has_changed_it(three: Db) -> None:
    def ask(session: Session) -> list[str]:
        together.ask_ahead(session, Question(_ALL, {}))
        together.tell(session, _RENAME, {"was": "a", "becomes": "z"})
        together.forget(session)
        return [row.name for row in together.rows(session, _ALL, {})]

    assert three.run("ask", ask) == ["b", "c", "z"]


def test_whoever_asks_by_the_session_sees_what_was_told_before(three: Db) -> None:
    def write(session: Session) -> list[str]:
        together.tell(session, _RENAME, {"was": "a", "becomes": "z"})
        store(session, platform("d"))
        return names(session)

    assert three.run("write", write) == ["b", "c", "d", "z"]
    assert three.read("names", names) == ["b", "c", "d", "z"]


def test_what_was_told_is_undone_with_its_transaction(three: Db) -> None:
    def write(session: Session) -> None:
        store(session, platform("d"))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        three.run("write", write)
    three.rehearse("write", lambda session: store(session, platform("e")))
    assert three.read("names", names) == ["a", "b", "c"]


def test_of_what_is_written_together_all_is_written_or_nothing(three: Db) -> None:
    def write(session: Session) -> None:
        together.tell(session, _RENAME, {"was": "a", "becomes": "z"})
        store(session, platform("b"))
        store(session, platform("d"))

    with pytest.raises(IntegrityError):
        three.run("write", write)
    assert three.read("names", names) == ["a", "b", "c"]


def test_a_mistake_among_questions_is_told_and_the_connection_lives_on(three: Db) -> None:
    wrong = select(text("no_such_column")).select_from(table_of(Platform))

    def ask(session: Session) -> None:
        together.ask_ahead(session, Question(_ALL, {}), Question(wrong, {}), Question(_ALL, {}))

    with pytest.raises(DBAPIError, match="no_such_column"):
        three.run("ask", ask)
    assert len(three.run("ask", lambda session: together.rows(session, _ALL, {}))) == 3


def test_a_row_that_was_found_is_an_object_of_the_session(three: Db) -> None:
    def rename(session: Session) -> None:
        known = session.get_one(Platform, "a")
        (row,) = together.rows(session, _NAMED, {"name": "a"})
        assert loaded(session, Platform, row) is known
        (row,) = together.rows(session, _NAMED, {"name": "b"})
        other = loaded(session, Platform, row)
        assert (other.settings, other.traits) == (None, ["fast"])
        other.name = "renamed"

    three.run("rename", rename)
    assert three.read("names", names) == ["a", "c", "renamed"]


def test_whoever_listens_to_an_engine_hears_every_statement(three: Db, engine: Engine) -> None:
    heard: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *words: heard.append(words[2].split()[0]))

    def act(session: Session) -> None:
        together.ask_ahead(session, Question(_ALL, {}), Question(_SOME, {"without": ""}))
        together.tell(session, _RENAME, {"was": "a", "becomes": "z"})
        store(session, platform("d"))

    three.run("act", act)
    assert [word for word in heard if word not in ("BEGIN", "PRAGMA")] == [
        "SELECT",
        "SELECT",
        "UPDATE",
        "INSERT",
    ]


@pytest.mark.postgres
def test_the_server_is_waited_for_twice_however_much_is_asked_and_told(
    postgres_url: str, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, sent = Db(opened(postgres_url), TestClock()), []
    exchanged = Pipe.exchange

    def exchange(pipe: Pipe, said: Sequence[Said]) -> list[Rows]:
        sent.append([one.text.split()[0].decode() for one in said])
        return exchanged(pipe, said)

    monkeypatch.setattr(Pipe, "exchange", exchange)

    def act(session: Session) -> None:
        together.ask_ahead(session, Question(_ALL, {}), Question(_SOME, {"without": ""}))
        together.tell(session, _RENAME, {"was": "a", "becomes": "z"})
        store(session, platform("d"), platform("e"))

    db.run("act", act)
    assert sent == [["SELECT", "SELECT"], ["UPDATE", "INSERT", "COMMIT"]]
    assert db.read("names", names) == ["d", "e"]


def test_statements_that_the_server_has_forgotten_are_prepared_again(three: Db) -> None:
    """SQLite forgets none, and answers the same."""

    def often(session: Session) -> None:
        for _ in range(9):
            session.execute(_ALL)

    for _ in range(3):
        three.run("often", often)
        assert len(three.run("ask", lambda session: together.rows(session, _ALL, {}))) == 3
        # The driver lets the server forget all it has prepared.
        three.rehearse("undo", lambda session: together.rows(session, _ALL, {}))


@pytest.mark.postgres
def test_a_connection_that_is_cut_off_is_unavailable_and_the_next_is_new(
    postgres_url: str, opened: Opened
) -> None:
    engine, other = opened(postgres_url), opened(postgres_url)
    db = Db(engine, TestClock())

    def cut_off(session: Session) -> None:
        process = session.scalar(text("SELECT pg_backend_pid()"))
        end = text("SELECT pg_terminate_backend(:process, 5000)")
        Db(other, TestClock()).run("end", lambda o: o.execute(end, {"process": process}))
        together.rows(session, _ALL, {})

    with pytest.raises(Unavailable):
        db.run("cut off", cut_off)
    assert db.run("ask", lambda session: together.rows(session, _ALL, {})) == []
