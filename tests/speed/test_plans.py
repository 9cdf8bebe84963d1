"""Every statement that pages, API and scheduler send goes by an index, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from booking.scheduler import Scheduler
from booking.services import housekeeping, snapshots
from tests.speed.asking import Crowded, Statement, askings, crowded
from tests.speed.crowd import ADMIN, PERSON, Size, secret
from tests.speed.plans import faults, is_planned
from tests.support.doors import TestClock

SOME = Size(accounts=300, bookings=1500, pools=5, own=60)
_DAY = "2030-01-09T"
_WISH = {
    "package": "small",
    "sharing": "reserved",
    "pool": "pool-000",
    "spans": [{"start": f"{_DAY}10:00:00Z", "end": f"{_DAY}12:00:00Z"}],
}
_TOO_MUCH = _WISH | {
    "package": "custom",
    "custom": {"notebook_cores": 10**6, "notebook_memory_mib": 1, "worker_cores": 0, "worker_memory_mib": 0},
}
_HOLDING = {
    "span": {"start": "2031-01-01T00:00:00Z", "end": None},
    "resources": {"cores": 1},
    "reason": "more",
}

_ALL: dict[str, Any] = {
    "span": {"start": "2031-06-01T00:00:00Z", "end": "2031-06-02T00:00:00Z"},
    "resources": {"cores": 10**6},
    "reason": "repair",
}


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Crowded]:
    with crowded(database_url, tmp_path, SOME) as made:
        yield made


def test_no_statement_reads_the_whole_of_a_table_that_grows(site: Crowded) -> None:
    for asking in askings():
        for who in (ADMIN, PERSON):
            site.ask(asking.path, who)
    _act(site)
    _sweep(site)
    distinct = {statement.text: statement for statement in site.sent if is_planned(statement)}
    assert len(distinct) > 100
    found: dict[str, list[str]] = {}
    for statement in distinct.values():
        with site.engine.connect() as connection:
            if said := faults(connection, statement):
                found[statement.text] = said
    assert not found, "\n\n".join(f"{said}\n{text}" for text, said in found.items())


def _act(site: Crowded) -> None:
    """Everything that people do, once."""
    client = site.app.test_client(use_cookies=False)

    def call(method: str, path: str, body: Any = None, who: str = ADMIN, **headers: str) -> Any:
        headers |= {"Authorization": f"Bearer {secret(who)}"}
        answer = client.open(f"/api/v1{path}", method=method, json=body, headers=headers)
        assert answer.status_code < 300, (method, path, answer.get_data(as_text=True))
        return answer.get_json() if answer.data else None

    keyed = {"Idempotency-Key": "one"}
    call("POST", "/bookings?dry_run=true", _WISH, PERSON)
    made = call("POST", "/bookings", _WISH, PERSON, **keyed)
    call("POST", "/bookings", _WISH, PERSON, **keyed)
    held = call("POST", "/bookings", _WISH | {"hold": True}, PERSON)
    call("POST", f"/bookings/{held['id']}/confirm", None, PERSON)
    call("POST", "/bookings", _WISH | {"hold": True}, PERSON)
    own, tag = f"/bookings/{made['id']}", {"If-Match": "*"}
    call("PATCH", own, {"title": "new"}, PERSON, **tag)
    reservation = made["reservations"][0]["id"]
    call("PATCH", f"{own}/reservations/{reservation}", {"end": f"{_DAY}14:00:00Z"}, PERSON, **tag)
    call("PUT", f"{own}/guests/person-00003", None, PERSON)
    call("DELETE", f"{own}/guests/person-00003", None, PERSON)
    call("DELETE", own, None, PERSON, **tag)
    _wait(call)
    call("POST", "/tokens", {"scopes": ["bookings:read"], "label": "x"}, PERSON)
    call("DELETE", f"/tokens/{PERSON}-token-1", None, PERSON)
    call("POST", "/groups", {"name": "more"})
    call("PUT", "/groups/more/members/person-00003", {"role": "reader"})
    call("DELETE", "/groups/more/members/person-00003")
    call("POST", "/accounts", {"name": "new", "password": "long enough"})
    call("PATCH", "/accounts/new", {"level": 1, "password": "longer than that"})
    call("PATCH", "/levels/3", {"limits": {"core_hours": 5}})
    call("POST", "/accounts/try")
    row = call("POST", "/pools/pool-000/inventory", _HOLDING)["id"]
    call("PATCH", f"/pools/pool-000/inventory/{row}", {"reason": "y"})
    call("DELETE", f"/pools/pool-000/inventory/{row}")
    call("POST", "/login", {"name": "new", "password": "longer than that"})
    bearer = {"Authorization": f"Bearer {secret(ADMIN)}"}
    for _ in range(2):
        assert client.post("/api/v1/bookings", json=_TOO_MUCH, headers=bearer).status_code == 409


def _wait(call: Callable[..., Any]) -> None:
    """Wait for what is taken, and no longer; one more waits for what becomes free at the next sweep."""
    row = call("POST", "/pools/pool-000/blackouts", _ALL)["id"]
    taken = _WISH | {"spans": [{"start": _ALL["span"]["start"], "end": "2031-06-01T01:00:00Z"}]}
    (wanted,) = call("POST", "/waitlist", taken)["items"]
    call("DELETE", f"/waitlist/{wanted['id']}")
    call("POST", "/waitlist", taken)
    call("DELETE", f"/pools/pool-000/blackouts/{row}")


def _sweep(site: Crowded) -> None:
    """Everything that goes by itself: holds and trials end, clusters come and go, the tables are tidied and compared."""
    clock = site.ctx.clock
    assert isinstance(clock, TestClock)
    scheduler = Scheduler(site.ctx, site.app.extensions["booking.provisioner"](), "test")
    for _ in range(3):
        assert scheduler.tick()
        clock.advance(timedelta(hours=13))
        assert scheduler.tick()
    for act in (snapshots.take, housekeeping.tidy):
        act(site.ctx)


def test_a_table_that_is_read_from_end_to_end_is_seen(engine: Engine) -> None:
    with engine.connect() as connection:
        for query in ("SELECT id FROM booking WHERE title = 'x'", "SELECT id FROM account WHERE level = 1"):
            assert faults(connection, Statement(query, ()))
        assert not faults(connection, Statement("SELECT id FROM booking WHERE id = 'x'", ()))
        assert not faults(connection, Statement("SELECT name FROM package", ()))
