"""Problems: every refusal in one form, every code in the reference, no fault told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import booking
from booking.allocator.lifecycle import IllegalTransition, State
from booking.api import problems
from booking.errors import BookingError, ConcurrentUpdate, Refused, Unavailable
from tests.api.support import Site, wish

BAD_BODIES: list[tuple[bytes, str, int, str]] = [
    (b"{", "application/json", 400, "request.malformed"),
    (b"\xff", "application/json", 400, "request.malformed"),
    (b"[" * 100_000, "application/json", 400, "request.malformed"),
    (b'{"title": NaN}', "application/json", 400, "request.malformed"),
    (b"9" * 5000, "application/json", 400, "request.malformed"),
    (b"[]", "application/json", 422, "request.invalid"),
    (b"null", "application/json", 422, "request.invalid"),
    (b'{"title": "a", "title": "b"}', "application/json", 422, "request.invalid"),
    (b"", "application/json", 422, "request.invalid"),
    (b"a=1", "application/x-www-form-urlencoded", 415, "request.unsupported_media_type"),
    (b"{}", "text/plain", 415, "request.unsupported_media_type"),
    (b" " * (2**20 + 1), "application/json", 413, "request.too_large"),
]


def test_a_body_that_cannot_be_read_is_a_problem(site: Site) -> None:
    for body, kind, status, code in BAD_BODIES:
        site.person("ann").post("/bookings", data=body, content_type=kind).must(status, code)


def test_unknown_addresses_and_methods_are_problems_under_the_api_only(site: Site) -> None:
    site.nobody.get("/nope").must(404, "route.not_found")
    refused = site.nobody.put("/bookings", json={})
    refused.must(405, "request.method_not_allowed")
    assert set(refused.headers["Allow"].split(", ")) >= {"GET", "POST"}
    assert site.nobody.get("/api/v2/bookings").must(404)["type"] == "/docs/api#route.not_found"
    site.nobody.post("/healthz").must(405)
    bad = {"Authorization": "Bearer nobodys"}
    assert site.nobody.get("/docs/nope", headers=bad).status == 404
    assert site.nobody.get("/docs/nope").response.mimetype != "application/problem+json"


def test_a_fault_of_ours_is_noted_with_its_id_and_told_without_its_cause(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret cause")

    monkeypatch.setattr("booking.api.pools.listing.pools", fail)
    answer = site.nobody.get("/pools")
    body = answer.must(500, "service.error")
    assert "secret" not in answer.response.get_data(as_text=True)
    (record,) = [r for r in caplog.records if r.name == "booking.api"]
    assert body["request_id"] in record.getMessage()


@pytest.mark.parametrize(
    "error, status, retries", [(Unavailable("down"), 503, True), (ConcurrentUpdate("lost"), 409, False)]
)
def test_a_database_that_fails_is_told_as_such(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, retries: bool
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("booking.api.pools.listing.pools", fail)
    answer = site.nobody.get("/pools")
    answer.must(status, error.code)  # type: ignore[attr-defined]
    assert ("Retry-After" in answer.headers) is retries


def raised_codes() -> set[str]:
    """Every code that the source raises by name, and every noun that may not be there."""
    found = {kind.code for kind in errors_of(BookingError)} - {"error"}
    package = Path(booking.__file__).parent
    for path in package.rglob("*.py"):
        if path.is_relative_to(package / "pages"):
            continue  # pages tell their errors in sentences
        source = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"""code="([a-z_]+\.[a-z_]+)\"""", source))
        found |= set(re.findall(r"""Rule\(\s*"(policy\.[a-z_]+)\"""", source))
        found |= {f"{noun}.not_found" for noun in re.findall(r"""NotFound\(\s*"([a-z_]+)\"""", source)}
        found |= set(re.findall(r"""problem\(\d+, "([a-z_.]+)\"""", source))
    return found | set(problems.CODES.values())


def errors_of(kind: type[BookingError]) -> Iterator[type[BookingError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from errors_of(below)


def test_every_code_that_is_raised_has_its_place_in_the_reference(site: Site) -> None:
    codes = raised_codes()
    assert len(codes) > 30
    page = site.nobody.get("/docs/api").response.get_data(as_text=True)
    assert [code for code in sorted(codes) if f'id="{code}"' not in page] == []


def test_every_error_has_one_status() -> None:
    statuses = {
        kind.__name__: problems.status_of(kind.__new__(kind))
        for kind in errors_of(BookingError)
        if kind is not BookingError and kind is not Refused
    }
    assert statuses == {
        "Invalid": 422,
        "BeyondHorizon": 422,
        "IdempotencyMismatch": 422,
        "NotFound": 404,
        "Unauthenticated": 401,
        "Forbidden": 403,
        "NoCapacity": 409,
        "ConcurrentUpdate": 409,
        "PolicyRefused": 403,
        "Conflict": 409,
        "CapacityConflict": 409,
        "BadBackup": 409,
        "Stale": 412,
        "PreconditionRequired": 428,
        "TooMany": 429,
        "Unavailable": 503,
        "Closed": 503,
    }


def test_an_act_that_came_too_late_is_a_conflict(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise IllegalTransition(State.ENDED, State.ACTIVE)

    monkeypatch.setattr("booking.api.pools.listing.pools", fail)
    problem = site.nobody.get("/pools").must(409, "booking.conflict")
    assert problem["detail"] == "A reservation that is ended cannot become active."


def test_a_span_beyond_the_calendar_has_a_code_of_its_own(site: Site) -> None:
    far = {"spans": [{"start": "2040-01-01T00:00:00Z", "end": "2040-01-02T00:00:00Z"}]}
    site.root.post("/bookings", json=wish() | far).must(422, "booking.beyond_horizon")
