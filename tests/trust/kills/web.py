"""The web application as the sweep serves it: warmed up before its process forks, and once with a planted bug."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from flask import Flask, after_this_request
from sqlalchemy.orm import Session

from booking import create_app
from booking.app import context_of
from booking.doors import Db
from tests.trust.kills.place import PACKAGE

T = TypeVar("T")
TOKEN = "TRUST_KILLS_TOKEN"
"""The environment variable with the token that the warm-up uses."""


def warm() -> Flask:
    """The application, which has done each act once, so that each process forked from this one answers fast."""
    app = create_app()
    client, header = app.test_client(), {"Authorization": f"Bearer {os.environ[TOKEN]}"}
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=9)
    ends = [(start + timedelta(hours=hours)).isoformat() for hours in (1, 2)]
    span = {"start": start.isoformat(), "end": ends[0]}
    body = {"package": PACKAGE, "sharing": "reserved", "spans": [span], "title": "warm-up"}
    booked = client.post("/api/v1/bookings", json=body, headers=header)
    made: Any = booked.json
    path = f"/api/v1/bookings/{made['id']}"
    one = f"{path}/reservations/{made['reservations'][0]['id']}"
    changed = client.patch(one, json={"end": ends[1]}, headers=header | {"If-Match": booked.headers["ETag"]})
    cancelled = client.delete(path, headers=header)
    assert [answer.status_code for answer in (booked, changed, cancelled)] == [201, 200, 204]
    context_of(app).db.engine.dispose()
    return app


def hasty() -> Flask:
    """The same with a planted bug: a booking is answered before it is committed."""
    app = warm()
    db = context_of(app).db
    honest = db.run

    def run(name: str, fn: Callable[[Session], T]) -> T:
        return _answer_first(db, fn) if name == "book" else honest(name, fn)

    db.run = run  # type: ignore[method-assign]
    return app


def _answer_first(db: Db, fn: Callable[[Session], T]) -> T:
    session = Session(db.engine, expire_on_commit=False)
    result = fn(session)
    session.flush()

    @after_this_request
    def commit_late(response: Any) -> Any:
        response.call_on_close(session.commit)
        response.call_on_close(session.close)
        return response

    return result
