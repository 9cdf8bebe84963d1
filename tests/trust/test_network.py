"""The proof of the bad network in its quickest form, and the deadlines that it rests on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.orm import Session

from booking.doors import Db, open_engine
from booking.errors import Unavailable
from booking.postgres import within
from tests.support.doors import Opened, TestClock
from tests.support.proxy import Fault, Proxy
from tests.trust.network import proof
from tests.trust.proof import Scale

pytestmark = [pytest.mark.postgres]


@pytest.mark.slow
@pytest.mark.xdist_group("serve")
def test_everybody_is_answered_however_bad_the_network_is() -> None:
    finding = proof.prove(Scale.QUICK, 1)
    assert finding.ok, finding


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Proxy]:
    """A wire to the server of the tests."""
    with Proxy(f"{make_url(postgres_url).query['host']}/.s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture
def db(wire: Proxy, postgres_url: str) -> Iterator[Db]:
    engine = open_engine(_through(wire, postgres_url), serving=True)
    yield Db(engine, TestClock())
    engine.dispose()


def _through(wire: Proxy, url: str) -> URL:
    query = {"sslmode": "disable", "gssencmode": "disable"}
    return make_url(url).set(host="127.0.0.1", port=wire.port, query=query)


def one(session: Session) -> object:
    return session.scalar(text("SELECT 1"))


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.TRICKLE, Fault.DROP])
def test_who_waits_for_a_silent_database_is_told_in_time(db: Db, wire: Proxy, fault: Fault) -> None:
    assert db.read("one", one) == 1
    wire.become(fault)
    with pytest.raises(Unavailable), within(0.5):
        db.read("one", one)
    wire.become(Fault.NONE)


def test_after_a_silence_nobody_asks_for_a_moment_and_then_all_is_well(db: Db, wire: Proxy) -> None:
    assert db.read("one", one) == 1
    wire.become(Fault.SILENCE)
    with pytest.raises(Unavailable), within(0.5):
        db.read("one", one)
    wire.become(Fault.NONE)
    with pytest.raises(Unavailable):
        db.read("one", one)
    pause = threading.Event()
    while _is_paused(db):
        pause.wait(0.05)
    assert db.read("one", one) == 1


def _is_paused(db: Db) -> bool:
    try:
        db.read("one", one)
    except Unavailable:
        return True
    return False


def test_an_answer_that_comes_late_is_nobody_elses(db: Db, wire: Proxy) -> None:
    def slow(session: Session) -> object:
        return session.scalar(text("SELECT 'late' FROM pg_sleep(1)"))

    with pytest.raises(Unavailable), within(0.5):
        db.read("slow", slow)
    while _is_paused(db):
        threading.Event().wait(0.05)
    assert db.read("one", one) == 1


def test_who_serves_waits_less_patiently_than_a_command(postgres_url: str, opened: Opened) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    serving, patient = open_engine(postgres_url, serving=True), opened(postgres_url)
    told = []
    for engine in (serving, patient):
        with engine.connect() as connection:
            told.append([connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names])
    serving.dispose()
    assert told == [["3s", "15s", "10s"], ["5s", "0", "1min"]]


def test_a_promise_is_on_disk_before_it_is_told_whatever_the_server_does_by_default(
    postgres_url: str, opened: Opened
) -> None:
    careless = f"{postgres_url}&options=-c%20synchronous_commit%3Doff"
    with opened(careless).connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
