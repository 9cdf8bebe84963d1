"""Sessions: how long they last, what their cookie is like, and what ends them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.security.world import World, open_world


def test_a_session_that_is_used_every_day_ends_all_the_same(world: World) -> None:
    cookie = world.sign_in("ada").cookie
    statuses = []
    for _ in range(16):
        statuses.append(world.client.get("/account", headers={"Cookie": cookie}).status_code)
        world.clock.advance(timedelta(days=1))
    assert statuses == [200] * 15 + [303]


def test_leaving_ends_every_session_of_the_account_and_of_no_other(world: World) -> None:
    one, other, eve = world.sign_in("ada"), world.sign_in("ada"), world.sign_in("eve")
    world.client.post("/logout", data={"csrf_token": one.csrf}, headers={"Cookie": one.cookie})
    seen = [
        world.client.get("/account", headers={"Cookie": who.cookie}).status_code for who in (one, other, eve)
    ]
    assert seen == [303, 303, 200]


def test_a_new_password_ends_sessions_and_tokens_and_not_those_of_others(world: World) -> None:
    browser, token, eve = (
        world.sign_in("ada"),
        world.token("ada", "bookings:read"),
        world.token("eve", "bookings:read"),
    )
    root = world.token("root", "admin")
    world.call(root, "PATCH", "/accounts/ada", {"password": "another password"})
    assert world.client.get("/account", headers={"Cookie": browser.cookie}).status_code == 303
    for secret, status in ((token, 401), (eve, 200)):
        headers = {"Authorization": f"Bearer {secret}"}
        assert world.client.get("/api/v1/bookings", headers=headers).status_code == status


def test_behind_https_the_cookie_is_kept_to_the_host(tmp_path: Path) -> None:
    with open_world(tmp_path, secure_cookies=True) as world:
        answer = world.client.get("/login", base_url="https://localhost")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
