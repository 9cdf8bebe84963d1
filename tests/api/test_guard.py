"""What every route has in common: who may call it, exact form, headers, hostile text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from sqlalchemy import text
from werkzeug.routing import Rule

from booking.api.noun import AVAILABILITY, PUBLIC, SIGNED_IN, Noun, doc_of
from booking.headers import HEADERS
from booking.services.context import FOR_ADMINS, SCOPES
from tests.api.support import Site, wish


def routes(app: Flask) -> Iterator[tuple[str, str, Any]]:
    """Every route of the API as method, address with `x` for each name, and what it declares."""
    for rule in app.url_map.iter_rules():
        if isinstance(app.blueprints.get(rule.endpoint.partition(".")[0]), Noun):
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, address(rule), doc_of(app.view_functions[rule.endpoint])


def address(rule: Rule) -> str:
    return re.sub(r"<(?:account:)?\w+>", "x", rule.rule.replace("<level:level>", "1"))


def test_every_route_declares_who_may_call_it(app: Flask) -> None:
    known = {PUBLIC, AVAILABILITY, SIGNED_IN, *SCOPES}
    declared = [(method, path, (doc or {}).get("access")) for method, path, doc in routes(app)]
    assert len(declared) > 40
    assert [route for route in declared if route[2] not in known] == []
    public = {path for _, path, access in declared if access == PUBLIC}
    watched = {"/healthz", "/readyz", "/metrics"}
    doors = {"/api/v1/openapi.json", "/api/v1/login", "/api/v1/accounts/try"}
    by_secret = {"/feed/x.ics"}  # calendars of people bring no token: the address itself is the secret
    assert public == watched | doors | by_secret


def test_every_address_under_the_api_belongs_to_a_noun(app: Flask) -> None:
    strays = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api")
        and not isinstance(app.blueprints.get(rule.endpoint.partition(".")[0]), Noun)
    ]
    assert strays == []


def test_every_route_that_is_not_public_refuses_nobody_and_weak_tokens(site: Site) -> None:
    weak = {
        scope: site.person("boss", scope, admin=True) if scope in FOR_ADMINS else site.person("ann", scope)
        for scope in SCOPES
        if scope != "admin"
    }
    for method, path, doc in routes(site.app):
        access = doc["access"]
        if access in (PUBLIC, AVAILABILITY):
            continue
        site.nobody.call(method, path).must(401, "auth.required")
        if access != SIGNED_IN:
            for scope, caller in weak.items():
                if scope != access:
                    caller.call(method, path).must(403, "auth.forbidden")


def test_a_route_that_does_not_say_who_may_call_it_is_closed(app: Flask, site: Site) -> None:
    view = app.view_functions["packages.list_packages"]
    doc = dict(doc_of(view) or {})
    del doc["access"]
    view.__dict__["_apidoc"], kept = doc, view.__dict__["_apidoc"]
    try:
        site.root.get("/packages").must(500, "service.error")
    finally:
        view.__dict__["_apidoc"] = kept


def test_every_route_refuses_unknown_and_repeated_parameters(site: Site) -> None:
    for method, path, doc in routes(site.app):
        body: dict[str, Any] = {"json": {}} if doc.get("body") else {}
        known = doc.get("query", {})
        unknown = site.root.call(method, f"{path}?zz=1", **body).must(422, "request.invalid")
        assert unknown["errors"] == {"zz": ["is not known here"]}
        for name, repeats in known.items():
            twice = site.root.call(method, f"{path}?{name}=x&{name}=y", **body)
            if not repeats:
                assert twice.must(422)["errors"][name] == ["may be given once"]
    assert {
        (path, name)
        for _, path, doc in routes(site.app)
        for name, repeats in doc.get("query", {}).items()
        if repeats
    } == {
        ("/api/v1/availability", "package"),
        ("/api/v1/availability", "trait"),
        ("/api/v1/slots", "trait"),
    }


def test_every_route_refuses_a_body_it_does_not_read_and_fields_it_does_not_know(site: Site) -> None:
    for method, path, doc in routes(site.app):
        answer = site.root.call(method, path, json={"zz": 1}).must(422)
        assert ("zz" if doc.get("body") else "body") in answer["errors"], (method, path)


HOSTILE_NAMES: list[str] = ["%00", "a%00b", "%ff", "x" * 3000, "..%2f..", "'; DROP TABLE booking;--"]


def test_a_hostile_name_in_an_address_is_refused_and_never_a_fault(site: Site) -> None:
    booking = site.root.post("/bookings", json=wish()).must(201)
    for name in HOSTILE_NAMES:
        for pattern in (
            "/bookings/{}",
            "/pools/{}",
            "/packages/{}",
            "/groups/{}",
            "/accounts/{}",
            "/pools/{}/timeline",
        ):
            assert site.root.get(pattern.format(name)).status in (404, 422)
        assert site.root.put(f"/bookings/{booking['id']}/guests/{name}").status in (404, 422)
        assert site.root.delete(f"/tokens/{name}").status in (404, 422)


def test_every_answer_carries_its_id_and_the_headers_that_protect_a_browser(site: Site) -> None:
    answers = [
        site.root.get("/packages"),
        site.nobody.get("/bookings"),
        site.nobody.get("/nope"),
        site.nobody.get("/docs/api"),
        site.nobody.get("/healthz"),
    ]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert answers[0].headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in answers[0].headers
    secure = site.root.get("/packages", base_url="https://localhost")
    assert secure.headers["Strict-Transport-Security"].startswith("max-age=")


def test_the_database_never_sees_what_it_cannot_hold(site: Site) -> None:
    for hostile in ("\0", "a\0b", "\ud800", "x\udfff"):
        for path, body in (
            ("/bookings", wish(hostile)),
            ("/bookings", wish(title=hostile)),
            ("/bookings", wish(pool=hostile)),
            ("/bookings", wish(group=hostile)),
            ("/login", {"name": hostile, "password": hostile}),
            ("/accounts", {"name": hostile}),
            ("/tokens", {"scopes": ["admin"], "label": hostile}),
            ("/groups", {"name": hostile}),
        ):
            site.root.post(path, json=body).must(422)
    site.root.patch("/levels/1", json={"limits": {"packages": ["\0"]}}).must(422)
    for query in ("account=%00", "subject=%00", "action=%00"):
        site.root.get(f"/journal?{query}").must(422)
    assert site.ctx.db.read("count", lambda s: s.scalar(text("SELECT count(*) FROM booking"))) == 0


def test_a_switch_in_a_query_is_true_or_false(site: Site) -> None:
    ann = site.person("ann")
    for said in ("yes", "1", "True", ""):
        assert "dry_run" in ann.post(f"/bookings?dry_run={said}", json=wish()).must(422)["errors"]
    ann.post("/bookings?dry_run=false", json=wish()).must(201)
