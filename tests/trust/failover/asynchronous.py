"""A standby that lacks the last commits takes over: whoever has seen those must not answer from them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flask.testing import FlaskClient

from booking.app import build, context_of
from booking.config import Settings
from booking.models import Pool
from booking.services import timelines
from tests.trust.chaos.calls import Caller, Tally
from tests.trust.chaos.judge import verified
from tests.trust.chaos.stage import Stage, stage
from tests.trust.failover.pair import Pair, pair
from tests.trust.proof import Finding

TAIL = 5
"""How many bookings are lost with the primary."""
BACK_SECONDS = 15.0


class Process:
    """A web process of its own cache, within this one; it knows what it was last answered."""

    def __init__(self, url: str, home: Path, token: str) -> None:
        self.app = build(Settings(home=home, database_url=url, provisioner="null"))
        self._client: FlaskClient = self.app.test_client()
        self._token = token
        self.tag = ""

    def availability(self, day: str) -> dict[str, Any] | None:
        """What is free on a day; None if it is said that nothing has changed since it was last asked."""
        known = {"If-None-Match": self.tag} if self.tag else {}
        headers = {"Authorization": f"Bearer {self._token}"} | known
        answer = self._client.get(f"/api/v1/availability?{_question(day)}", headers=headers)
        if answer.status_code == 304:
            return None
        assert answer.status_code == 200, answer.get_data(as_text=True)
        self.tag = answer.headers["ETag"]
        found: dict[str, Any] = answer.get_json()
        return found

    def close(self) -> None:
        context_of(self.app).db.engine.dispose()


def prove(finding: Finding) -> None:
    with pair() as both, ExitStack() as stack:
        made = stack.enter_context(
            stage(both.primary.url.set(database="booking"), served=both.url("booking"), cores=8, workers=1)
        )
        judge = _Judge(made, both, stack)
        _lose_the_tail(finding, both, made, judge)
        verified(finding, made)


class _Judge:
    """Processes that have seen the tail, one of them without the guard, and one that has seen nothing."""

    def __init__(self, made: Stage, both: Pair, stack: ExitStack) -> None:
        self._url = both.url("booking").render_as_string(hide_password=False)
        self._made, self._stack = made, stack
        self.caller = Caller(made.url, made.token, Tally())
        self.day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
        self.behind, self.same, self.naive = (self.process() for _ in range(3))

    def process(self) -> Process:
        one = Process(self._url, self._made.service.home, self._made.token)
        self._stack.callback(one.close)
        return one

    def truth(self) -> dict[str, Any]:
        """What somebody answers who has seen nothing before."""
        found = self.process().availability(self.day)
        assert found is not None
        return found

    def book(self, hour: int, key: str) -> int:
        span = {"start": f"{self.day}T{hour:02}:00:00Z", "end": f"{self.day}T{hour + 1:02}:00:00Z"}
        body = {"package": "pair", "sharing": "reserved", "spans": [span]}
        return self.caller.ask("POST", "/bookings", json=body, headers={"Idempotency-Key": key}).status_code

    def over_http(self, tag: str = "") -> tuple[int, dict[str, Any] | None, str]:
        """The same question to the real service: status, answer, and its tag."""
        headers = {"If-None-Match": tag} if tag else {}
        answer = self.caller.ask("GET", f"/availability?{_question(self.day)}", headers=headers)
        return answer.status_code, answer.json() if answer.content else None, answer.headers.get("ETag", "")


def _lose_the_tail(finding: Finding, both: Pair, made: Stage, judge: _Judge) -> None:
    judge.book(1, "kept")
    both.caught_up()
    both.cut()
    told = [judge.book(3 + n, f"tail-{n}") for n in range(TAIL)]
    finding.show(
        "bookings answered 201 that never reached the standby",
        told.count(201),
        str(TAIL),
        told.count(201) == TAIL,
    )
    for process in (judge.behind, judge.same):
        process.availability(judge.day)
    with unguarded():
        judge.naive.availability(judge.day)
    _, ahead, tag = judge.over_http()
    both.fail_over()
    began = time.monotonic()
    _hold(finding, "at a generation that the caches are ahead of", judge.behind, judge)
    again = [judge.book(12 + n, f"other-{n}") for n in range(TAIL)]
    back = time.monotonic() - began
    finding.show(
        "seconds from the promotion to new bookings",
        round(back, 1),
        f"<= {BACK_SECONDS:g}",
        back <= BACK_SECONDS,
    )
    truth = judge.truth()
    finding.show(
        "the lost generation is reached again",
        _generation(truth),
        str(_generation(ahead)),
        again.count(201) == TAIL and _generation(truth) == _generation(ahead),
    )
    _hold(finding, "at a generation that was reached twice", judge.same, judge)
    status, answer, _ = judge.over_http(tag)
    finding.show(
        "the real service, asked for what has changed",
        status,
        "200, and the truth",
        (status, answer) == (200, truth),
    )
    with unguarded():
        fooled = judge.naive.availability(judge.day) != truth
    finding.show("control without the guard is fooled", "yes" if fooled else "no", "yes", fooled)
    finding.zero("errors of the server", judge.caller.tally.errors)
    finding.faults += judge.caller.tally.faults[:5]


def _hold(finding: Finding, when: str, process: Process, judge: _Judge) -> None:
    right = process.availability(judge.day) == judge.truth()
    finding.show(
        f"a process that has seen the lost tail, {when}",
        "the truth" if right else "the past",
        "the truth",
        right,
    )


def _question(day: str) -> str:
    following = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
    return f"from={day}&to={following}&granularity=hour&package=pair&sharing=reserved"


def _generation(answer: Mapping[str, Any] | None) -> int:
    return int((answer or {}).get("generation", -1))


@contextmanager
def unguarded() -> Iterator[None]:
    """The planted fault: the cache asks for the pool's epoch and generation only."""
    alone = Pool.epoch.label("epoch")
    with ExitStack() as stack:
        for name in ("_CATCH_UP", "_WHOLE", "_STORED"):
            whole = getattr(timelines, name)
            columns = [alone if column.name == "epoch" else column for column in whole.inner_columns]
            query = whole.with_only_columns(*columns, maintain_column_froms=True)
            stack.enter_context(patch.object(timelines, name, query))
        yield
