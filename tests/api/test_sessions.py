"""Sessions of the website at the API: what they prove, and when they end."""

from __future__ import annotations

from typing import Any

from flask import session

from booking import identity
from booking.services import accounts, visitors
from tests.api.support import Site, wish


def signed_in(site: Site, name: str) -> Any:
    """A browser with a session of that account."""
    site.person(name)
    client = site.app.test_client()
    account = site.ctx.db.read("account", lambda s: accounts.find(s, name))
    with site.app.test_request_context():
        identity.login(account)
        values = dict(session)
    with client.session_transaction() as stored:
        stored.update(values)
    return client


def test_a_session_reads_freely_and_changes_only_with_proof_that_it_comes_from_our_pages(site: Site) -> None:
    client = signed_in(site, "ann")
    assert client.get("/api/v1/accounts/me").get_json()["name"] == "ann"
    refused = client.post("/api/v1/bookings", json=wish())
    assert (refused.status_code, refused.get_json()["code"]) == (403, "auth.csrf")
    with site.app.test_request_context():
        from flask_wtf.csrf import generate_csrf

        proof = generate_csrf()
        raw = session["csrf_token"]
    with client.session_transaction() as stored:
        stored["csrf_token"] = raw
    made = client.post("/api/v1/bookings", json=wish(), headers={"X-CSRFToken": proof})
    assert made.status_code == 201
    bearer = {"Authorization": f"Bearer {site.person('ben').token}"}
    assert client.get("/api/v1/accounts/me", headers=bearer).get_json()["name"] == "ben"
    assert client.post("/api/v1/bookings", json=wish("tiny"), headers=bearer).status_code == 201


def test_a_session_ends_with_a_new_password_and_with_its_account(site: Site) -> None:
    ann, ben = signed_in(site, "ann"), signed_in(site, "ben")
    site.root.patch("/accounts/ann", json={"password": "another horse"}).must(200)
    site.root.patch("/accounts/ben", json={"disabled": True}).must(200)
    assert ann.get("/api/v1/accounts/me").status_code == 401
    assert ben.get("/api/v1/accounts/me").status_code == 401
    forged = site.app.test_client()
    forged.set_cookie("session", "eyJhY2NvdW50IjoieCJ9.x.y")
    assert forged.get("/api/v1/accounts/me").status_code == 401


def test_logging_out_ends_an_anonymous_account(site: Site) -> None:
    account = visitors.try_it(site.ctx)
    with site.app.test_request_context():
        identity.login(account)
        actor = identity.current_actor()
        assert actor is not None
        assert actor.id == account.id
        identity.logout()
        assert identity.current_actor() is None
    assert site.root.get(f"/accounts/{account.name}").must(200)["disabled"] is True


BAD_AUTHORIZATIONS: list[str] = [
    "",
    "Bearer",
    "Bearer ",
    "Basic YTpi",
    "bearer x",
    "Bearer \u00e9",
    "Bearer " + "x" * 600,
    "Bearer a b",
]


def test_an_authorization_that_is_none_is_refused_even_where_nobody_has_to_be_known(site: Site) -> None:
    for given in BAD_AUTHORIZATIONS:
        for path in ("/bookings", "/packages"):
            answer = site.nobody.get(path, headers={"Authorization": given.encode().decode("latin-1")})
            answer.must(401, "auth.required")
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="booking"')
