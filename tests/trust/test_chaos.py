"""The proof of chaos in its quickest form, and that it can fail."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
import requests

from booking import doors
from booking.allocator.span import Span
from booking.doors import Db, Doors
from tests.e2e.service import Service
from tests.support.doors import START, SequenceIds, TestClock
from tests.support.site import HOUR, Site, make_site
from tests.trust.chaos import proof
from tests.trust.chaos.calls import Tally, wrong_with
from tests.trust.chaos.clients import Crowd, Told
from tests.trust.chaos.judge import compare
from tests.trust.chaos.killing import Absence, Wounds
from tests.trust.chaos.stage import Stage
from tests.trust.chaos.sweep import sweep
from tests.trust.proof import Finding, Scale


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.xdist_group("serve")
def test_nothing_is_lost_when_the_database_is_killed() -> None:
    finding = proof.prove(Scale.QUICK, 1)
    assert finding.ok, finding


@pytest.mark.slow
def test_every_route_and_page_says_that_the_database_is_away() -> None:
    swept = sweep(1, share=0)
    assert swept.faults == []
    assert swept.outages > 50


def test_an_outage_that_is_taken_for_a_mistake_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_translated", lambda error: error)
    assert sweep(1, share=0, most=5).faults


@pytest.fixture
def stage(db: Db, clock: TestClock, ids: SequenceIds, tmp_path: Path) -> Stage:
    """Somebody's bookings, without a service."""
    site = make_site(Doors(clock, ids, db))
    site.pool()
    site.package("pair", 2)
    return Stage(site, tmp_path, cast(Service, None), "", "")


def told(site: Site) -> Told:
    span = Span(START + timedelta(days=1), START + timedelta(days=1) + HOUR)
    booking = site.book(site.person("crowd"), "pair", span)
    return Told("", booking.id, end=booking.reservations[0].end.isoformat())


def judged(stage: Stage, *everything: Told) -> bool:
    finding = Finding()
    compare(finding, stage, Crowd(told=list(everything)))
    return finding.ok


def test_the_judge_is_content_with_what_is_as_told(stage: Stage) -> None:
    assert judged(stage, told(stage.site))


def test_the_judge_misses_a_booking_that_is_not_there(stage: Stage) -> None:
    assert not judged(stage, told(stage.site), Told("", "lost"))


def test_the_judge_finds_a_booking_that_nobody_was_told_of(stage: Stage) -> None:
    told(stage.site)
    assert not judged(stage)


@pytest.mark.parametrize("wrong", [{"cancelled": True}, {"held": True}, {"end": START.isoformat()}])
def test_the_judge_finds_a_booking_that_is_not_as_told(stage: Stage, wrong: dict[str, object]) -> None:
    one = told(stage.site)
    for name, value in wrong.items():
        setattr(one, name, value)
    assert not judged(stage, one)


def answer(status: int, url: str = "http://localhost/api/v1/pools", **headers: str) -> requests.Response:
    found = requests.Response()
    found.status_code, found.url, found._content = status, url, b""
    found.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return found


def test_only_a_refusal_that_says_when_to_come_back_is_right() -> None:
    problem = {"Content_Type": "application/problem+json"}
    assert wrong_with(answer(503, Retry_After="5", **problem)) == []
    assert wrong_with(answer(503, **problem)) != []
    assert wrong_with(answer(503, Retry_After="5")) != []
    assert wrong_with(answer(500, Retry_After="5", **problem)) != []
    assert wrong_with(answer(503, "http://localhost/calendar", Retry_After="5")) == []


def test_a_slow_answer_is_a_fault_unless_nobody_was_there() -> None:
    tally = Tally()
    tally.note("GET /", answer(200), 11.0, excused=True)
    assert not tally.faults
    tally.note("GET /", answer(200), 11.0)
    assert tally.faults


def test_time_without_a_database_is_counted_by_what_overlaps() -> None:
    wounds = Wounds(outages=[Absence(10, 12), Absence(20, 21)], web_away=[Absence(30, 31)])
    assert wounds.without_database(11, 20.5) == 1.5
    assert wounds.hides(30.5, 40)
    assert not wounds.hides(5, 29)
