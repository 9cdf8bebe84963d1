"""Accounts, tokens, levels, groups and the journal over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from booking.services.context import SCOPES
from tests.api.support import USER_SCOPES, Caller, Site, wish
from tests.support.doors import TestClock


def test_an_administrator_makes_reads_and_changes_accounts(site: Site) -> None:
    made = site.root.post(
        "/accounts", json={"name": "ann@example.org", "level": 1, "password": "correct horse"}
    )
    account = made.must(201)
    assert made.headers["Location"] == f"/api/v1/accounts/{account['id']}"
    assert (account["level"], account["admin"], account["kind"], account["disabled"]) == (
        1,
        False,
        "person",
        False,
    )
    assert "password" not in made.response.get_data(as_text=True)
    site.root.post("/accounts", json={"name": "ann@example.org"}).must(409, "account.conflict")
    path = "/accounts/ann@example.org"
    changed = site.root.patch(path, json={"level": 2, "limits": {"max_concurrent": 1}}).must(200)
    assert (changed["level"], changed["limits"]) == (2, {"max_concurrent": 1})
    assert site.root.get(f"/accounts/{account['id']}").must(200) == changed
    site.root.patch(path, json={"limits": {"nope": 1}}).must(422)
    site.root.patch(path, json={"limits": {"max_length": 5}}).must(422)
    site.root.patch("/accounts/zoe", json={"level": 1}).must(404, "account.not_found")
    service = site.root.post("/accounts", json={"name": "robot", "kind": "service", "admin": True}).must(201)
    assert (service["kind"], service["admin"]) == ("service", True)


BAD_ACCOUNTS: list[tuple[dict[str, Any], str]] = [
    ({"name": "me"}, "name"),
    ({"name": "*"}, "name"),
    ({"name": "a b"}, "name"),
    ({"name": "a/b"}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"password": "short"}, "password"),
    ({"password": "x" * 257}, "password"),
    ({"password": "Password1"}, "password"),
    ({"level": -1}, "level"),
    ({"level": 10**12}, "level"),
    ({"admin": 1}, "admin"),
    ({"kind": "anonymous"}, "kind"),
]


def test_an_account_that_cannot_be_is_refused_by_field(site: Site) -> None:
    for change, field in BAD_ACCOUNTS:
        assert field in site.root.post("/accounts", json={"name": "ann"} | change).must(422)["errors"], change


def test_accounts_are_listed_by_name_in_pages(site: Site) -> None:
    for name in ("cleo", "ann", "ben\u200b"):
        site.root.post("/accounts", json={"name": name}).must(201)
    names, cursor = [], ""
    for _ in range(4):
        page = site.root.get(f"/accounts?limit=1{cursor}").must(200)
        names += [account["name"] for account in page["items"]]
        cursor = f"&cursor={page['next']}"
    assert names == ["ann", "ben\u200b", "cleo", "root"]
    assert page["next"] is None


def test_accounts_are_for_administrators_with_the_scope(site: Site) -> None:
    site.person("ann").get("/accounts").must(403)
    site.person("ann").get("/accounts/root").must(403)
    site.person("root", "bookings:read").get("/accounts").must(403)
    site.person("root", "accounts:read").get("/accounts").must(200)
    site.person("root", "accounts:read").patch("/accounts/ann", json={"level": 1}).must(403)
    site.nobody.get("/accounts").must(401)


def test_everybody_sees_their_own_limits_and_what_is_used_of_them(site: Site) -> None:
    ann = site.person("ann", level=1)
    ann.book("small", (9, 12)).must(201)
    me = ann.get("/accounts/me").must(200)
    assert (me["name"], me["level"], me["limits"]["max_length"]) == ("ann", 1, "P14D")
    assert (me["quota"]["limit"], me["quota"]["used"], me["quota"]["left"]) == (1000, 6.0, 994.0)
    assert me["scopes"] == sorted(USER_SCOPES)
    assert site.root.get("/accounts/me").must(200)["limits"]["max_length"] is None
    site.nobody.get("/accounts/me").must(401)


def test_give_it_a_try_needs_no_form_and_books_tiny_only(site: Site, clock: TestClock) -> None:
    site.root.patch("/pools/main", json={"level0_reserve": {"cores": 2, "memory_mib": 4096}}).must(200)
    tried = site.nobody.post("/accounts/try").must(201)
    assert (tried["account"]["kind"], tried["account"]["level"]) == ("anonymous", 0)
    visitor = Caller(site.app, tried["token"])
    now = {"spans": [{"start": "2030-01-07T09:00:00Z", "end": "2030-01-07T10:00:00Z"}], "sharing": "shared"}
    visitor.post("/bookings", json=wish("small") | now).must(403, "policy.package_not_allowed")
    visitor.post("/bookings", json=wish("tiny") | now).must(201)
    visitor.post("/groups", json={"name": "g"}).must(403)
    clock.advance(timedelta(hours=12))
    visitor.get("/accounts/me").must(401)


def test_a_name_and_a_password_give_a_token(site: Site) -> None:
    site.person("ann", password="correct horse")
    body = {"name": "ann", "password": "correct horse"}
    token = site.nobody.post("/login", json=body).must(200)
    assert (token["account"], token["scopes"]) == ("ann", list(USER_SCOPES))
    assert token["expires_at"] == "2030-01-21T09:00:00Z"
    Caller(site.app, token["token"]).get("/accounts/me").must(200)
    wrong = site.nobody.post("/login", json=body | {"password": "wrong horse"}).must(401, "auth.required")
    unknown = site.nobody.post("/login", json=body | {"name": "nobody"}).must(401, "auth.required")
    assert wrong["detail"] == unknown["detail"]
    site.root.patch("/accounts/ann", json={"disabled": True}).must(200)
    site.nobody.post("/login", json=body).must(401)
    Caller(site.app, token["token"]).get("/accounts/me").must(401)


def test_a_token_carries_no_right_that_its_maker_lacks(site: Site) -> None:
    ann = site.person("ann")
    body = {"label": "ci", "scopes": ["bookings:read"], "expires_in": "P30D"}
    made = ann.post("/tokens", json=body).must(201)
    assert (made["label"], made["expires_at"]) == ("ci", "2030-02-06T09:00:00Z")
    reader = Caller(site.app, made["token"])
    reader.get("/bookings").must(200)
    reader.post("/bookings", json=wish()).must(403, "auth.forbidden")
    reader.post("/tokens", json={"scopes": ["bookings:write"]}).must(403)
    ann.post("/tokens", json={"scopes": ["admin"]}).must(403)
    ann.post("/tokens", json={"scopes": ["bookings:read"], "account": "root"}).must(404)
    ann.post("/tokens", json={"scopes": []}).must(422)
    ann.post("/tokens", json={"scopes": ["everything"]}).must(422)
    listed = ann.get("/tokens").must(200)["items"]
    assert made["id"] in [token["id"] for token in listed]
    assert all("token" not in token for token in listed)
    site.person("ben").delete(f"/tokens/{made['id']}").must(404, "token.not_found")
    ann.delete(f"/tokens/{made['id']}").must(204)
    reader.get("/bookings").must(401)
    given = site.root.post("/tokens", json={"scopes": ["bookings:read"], "account": "ann"}).must(201)
    assert Caller(site.app, given["token"]).get("/accounts/me").must(200)["name"] == "ann"


def test_a_token_ends(site: Site, clock: TestClock) -> None:
    made = (
        site.person("ann").post("/tokens", json={"scopes": ["bookings:read"], "expires_in": "PT1H"}).must(201)
    )
    clock.advance(timedelta(hours=1))
    answer = Caller(site.app, made["token"]).get("/bookings")
    answer.must(401, "auth.required")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="booking", error="invalid_token"'


def test_levels_are_read_by_everybody_and_set_by_administrators(site: Site) -> None:
    ann = site.person("ann", level=1)
    levels = ann.get("/levels").must(200)["items"]
    assert [level["level"] for level in levels] == [0, 1]
    assert levels[0]["limits"]["packages"] == ["tiny"]
    site.nobody.get("/levels").must(401)
    ann.patch("/levels/1", json={"limits": {}}).must(403)
    changed = site.root.patch("/levels/1", json={"limits": {"max_length": "PT1H", "core_hours": None}}).must(
        200
    )
    assert (changed["limits"]["max_length"], changed["limits"]["core_hours"]) == ("PT1H", None)
    assert changed["limits"]["max_concurrent"] == 5
    replaced = site.root.put("/levels/7", json={"limits": {"max_concurrent": 2}}).must(200)
    assert {name: value for name, value in replaced["limits"].items() if value} == {"max_concurrent": 2}
    ann.book("tiny", (9, 11)).must(403, "policy.too_long")
    for wrong in ({"nope": 1}, {"max_length": "P1Y"}, {"packages": [1]}, {"max_concurrent": -1}):
        site.root.patch("/levels/1", json={"limits": wrong}).must(422)
    for level in ("1001", "9" * 20, "9" * 5000, "-1"):
        site.root.patch(f"/levels/{level}", json={"limits": {}}).must(404)
    site.root.patch("/levels/x", json={"limits": {}}).must(404)


def test_groups_are_kept_by_their_administrators(site: Site) -> None:
    ann, ben = site.person("ann"), site.person("ben")
    group = ann.post("/groups", json={"name": "lab"}).must(201)
    assert (group["role"], group["members"]) == ("admin", [{"account": "ann", "role": "admin"}])
    ann.post("/groups", json={"name": "lab"}).must(409, "group.conflict")
    ben.get("/groups/lab").must(404, "group.not_found")
    assert ben.get("/groups").must(200)["items"] == []
    ann.put("/groups/lab/members/ben", json={"role": "writer"}).must(200)
    assert ben.get(f"/groups/{group['id']}").must(200)["role"] == "writer"
    ben.put("/groups/lab/members/ben", json={"role": "admin"}).must(403)
    ben.delete("/groups/lab/members/ann").must(403)
    ann.put("/groups/lab/members/ann", json={"role": "reader"}).must(409, "group.conflict")
    ann.delete("/groups/lab/members/ann").must(409, "group.conflict")
    ann.put("/groups/lab/members/zoe", json={"role": "reader"}).must(404, "account.not_found")
    ann.put("/groups/lab/members/ben", json={"role": "owner"}).must(422)
    assert [g["name"] for g in ben.get("/groups").must(200)["items"]] == ["lab"]
    ann.post("/groups", json={"name": "cafe"}).must(201)
    page = ann.get("/groups?limit=1").must(200)
    assert [g["name"] for g in page["items"]] == ["cafe"]
    rest = ann.get(f"/groups?limit=1&cursor={page['next']}").must(200)
    assert ([g["name"] for g in rest["items"]], rest["next"]) == (["lab"], None)
    ben.delete("/groups/lab/members/ben").must(204)
    ann.delete("/groups/lab/members/ben").must(204)
    ben.get("/groups/lab").must(404)
    assert site.root.get("/groups/lab").must(200)["role"] is None
    site.root.put("/groups/lab/members/ben", json={"role": "admin"}).must(200)
    ann.delete("/groups/lab/members/ann").must(204)


def test_the_journal_is_filtered_and_paged_for_administrators(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    booking = ann.book().must(201)
    clock.advance(timedelta(minutes=1))
    ann.delete(f"/bookings/{booking['id']}").must(204)
    by_subject = site.root.get(f"/journal?subject=booking:{booking['id']}").must(200)["items"]
    assert [entry["action"] for entry in by_subject] == ["reservation.cancelled", "booking.made"]
    assert by_subject[1]["detail"] == {"package": "small", "spans": 1}
    by_account = site.root.get("/journal?account=ann&action=booking").must(200)["items"]
    assert [entry["action"] for entry in by_account] == ["booking.made"]
    late = site.root.get("/journal?from=2030-01-07T09:01:00Z&to=2030-01-08").must(200)["items"]
    assert [entry["action"] for entry in late] == ["reservation.cancelled"]
    everything = site.root.get("/journal?limit=200").must(200)["items"]
    seen, cursor = [], ""
    while True:
        page = site.root.get(f"/journal?limit=3{cursor}").must(200)
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == everything
    ann.get("/journal").must(403)
    site.nobody.get("/journal").must(401)
    site.root.get("/journal?account=zoe").must(404)


def test_an_administrators_token_from_signing_in_may_do_everything(site: Site) -> None:
    site.person("boss", admin=True, password="correct horse")
    token = site.nobody.post("/login", json={"name": "boss", "password": "correct horse"}).must(200)
    assert token["scopes"] == list(SCOPES)
    Caller(site.app, token["token"]).get("/journal").must(200)
