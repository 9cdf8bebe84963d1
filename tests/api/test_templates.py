"""Templates over HTTP: cards that anybody may read, administrators write, and one call books."""

from __future__ import annotations

from typing import Any

from tests.api.support import Site

CARD: dict[str, Any] = {
    "title": "Curves of light",
    "text": "Fit a curve.",
    "notebook_url": "https://example.org/curves.ipynb",
    "package": "small",
    "length": "PT2H",
}
NOW = {"start": "2030-01-07T09:00:00Z", "end": "2030-01-07T11:00:00Z"}


def put_up(site: Site, **more: Any) -> str:
    found: str = site.root.post("/templates", json=CARD | more).must(201)["id"]
    return found


def test_a_card_is_told_with_what_it_would_book_just_now(site: Site) -> None:
    made = site.root.post("/templates", json=CARD)
    usual = {"pool": None, "sharing": "reserved", "position": 0, "shown": True}
    assert made.must(201) == CARD | usual | {"id": made.json["id"]}
    (card,) = site.nobody.get("/templates").must(200)["items"]
    assert card == made.json | {"next": NOW}
    assert site.nobody.get(made.headers["Location"]).must(200) == card


def test_one_call_books_and_the_same_key_books_once(site: Site) -> None:
    path = f"/templates/{put_up(site)}/book"
    ann = site.person("ann")
    made = ann.post(path, headers={"Idempotency-Key": "one"})
    booking = made.must(201)
    assert (booking["title"], booking["notebook_url"]) == (CARD["title"], CARD["notebook_url"])
    assert [{"start": r["start"], "end": r["end"]} for r in booking["reservations"]] == [NOW]
    assert ann.get(made.headers["Location"]).etag == made.etag
    assert ann.post(path, headers={"Idempotency-Key": "one"}).must(201) == booking
    other = f"/templates/{put_up(site)}/book"
    ann.post(other, headers={"Idempotency-Key": "one"}).must(422, "request.idempotency_mismatch")


def test_it_is_refused_as_any_booking_is(site: Site) -> None:
    path = f"/templates/{put_up(site, package='large')}/book"
    site.root.patch("/levels/1", json={"limits": {"packages": ["tiny", "small"]}}).must(200)
    refused = site.person("ann", level=1).post(path).must(403, "policy.package_not_allowed")
    assert refused["rule"]["passes"] == ["small", "tiny"]
    again = site.callers["ann"].post("/bookings", json=refused["alternatives"][0]["request"]).must(201)
    assert again["title"] == CARD["title"]
    site.person("bob", "bookings:read").post(path).must(403, "auth.forbidden")
    site.nobody.post(path).must(401)


def test_a_card_is_changed_hidden_and_removed(site: Site) -> None:
    card = put_up(site)
    path = f"/templates/{card}"
    site.root.patch(path, json={"shown": False, "notebook_url": None, "pool": "main"}).must(200)
    assert site.nobody.get("/templates").must(200)["items"] == []
    for call in (site.nobody.get(path), site.person("ann").post(f"{path}/book")):
        call.must(404, "template.not_found")
    site.nobody.get("/templates?hidden=true").must(403)
    (seen,) = site.root.get("/templates?hidden=true").must(200)["items"]
    pool = site.nobody.get("/pools/main").must(200)["id"]
    assert (seen["shown"], seen["notebook_url"], seen["pool"]) == (False, None, pool)
    site.root.delete(path).must(204)
    site.root.delete(path).must(404, "template.not_found")


BAD_CARDS: list[tuple[dict[str, Any], str]] = [
    ({"title": ""}, "title"),
    ({"title": "two\nlines"}, "title"),
    ({"package": "huge"}, "package"),
    ({"package": "custom"}, "package"),
    ({"length": "PT0S"}, "length"),
    ({"length": "P2Y"}, "length"),
    ({"length": "PT90S"}, "length"),
    ({"notebook_url": "javascript:alert(1)"}, "notebook_url"),
    ({"pool": "moon"}, "pool"),
    ({"sharing": "lent"}, "sharing"),
    ({"position": -1}, "position"),
    ({"shown": "yes"}, "shown"),
    ({"colour": "red"}, "colour"),
]


def test_a_card_that_cannot_be_is_refused_by_field(site: Site) -> None:
    path = f"/templates/{put_up(site)}"
    for change, field in BAD_CARDS:
        assert field in site.root.post("/templates", json=CARD | change).must(422)["errors"], change
        assert field in site.root.patch(path, json=change).must(422)["errors"], change


def test_only_an_administrator_writes_cards(site: Site) -> None:
    path = f"/templates/{put_up(site)}"
    ann = site.person("ann")
    for call in (
        ann.post("/templates", json=CARD),
        ann.patch(path, json={"title": "x"}),
        ann.delete(path),
    ):
        call.must(403, "auth.forbidden")
