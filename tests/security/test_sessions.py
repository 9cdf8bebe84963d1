"""Sessions: how long they last, what their cookie is like, and what ends them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.security.world import PASSWORD, World, cookie_of, open_world


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


def test_ones_own_new_password_keeps_this_session_and_ends_all_else(world: World) -> None:
    here, elsewhere = world.sign_in("ada"), world.sign_in("ada")
    token = world.token("ada", "bookings:read")

    cookies = [here.cookie]

    def change(current: str, new: str) -> int:
        form = {"current": current, "new": new, "csrf_token": here.csrf}
        answer = world.client.post("/account/password", data=form, headers={"Cookie": here.cookie})
        if answer.status_code == 303:
            cookies.append(cookie_of(answer))
        return answer.status_code

    assert [change("a guess of it", "another password"), change(PASSWORD, "short")] == [422, 422]
    assert world.client.get("/account", headers={"Cookie": elsewhere.cookie}).status_code == 200
    assert change(PASSWORD, "another password") == 303
    seen = [
        world.client.get("/account", headers={"Cookie": cookie}).status_code
        for cookie in (cookies[-1], *cookies[:-1], elsewhere.cookie)
    ]
    assert seen == [200, 303, 303]
    headers = {"Authorization": f"Bearer {token}"}
    assert world.client.get("/api/v1/bookings", headers=headers).status_code == 401
    for password, status in ((PASSWORD, 401), ("another password", 200)):
        told = world.client.post("/api/v1/login", json={"name": "ada", "password": password})
        assert told.status_code == status


def test_the_present_password_is_guessed_no_more_often_than_at_the_door(tmp_path: Path) -> None:
    with open_world(tmp_path, login_limit="3/hour") as world:
        token = world.token("ada", "bookings:read")
        headers = {"Authorization": f"Bearer {token}"}
        body = {"current": "a guess of it", "new": "another password"}
        answers = [
            world.client.put("/api/v1/accounts/me/password", json=body, headers=headers).status_code
            for _ in range(4)
        ]
    assert answers == [422, 422, 422, 429]


def test_behind_https_the_cookie_is_kept_to_the_host(tmp_path: Path) -> None:
    with open_world(tmp_path, secure_cookies=True) as world:
        answer = world.client.get("/login", base_url="https://localhost")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie


def test_a_token_that_may_not_see_the_account_changes_no_password_on_its_page(world: World) -> None:
    """Nothing is looked at: right or wrong, the answer is the same, and the old password still holds."""
    headers = {"Authorization": f"Bearer {world.token('ada', 'bookings:write')}"}
    for current in (PASSWORD, "a guess of it"):
        form = {"current": current, "new": "another password"}
        assert world.client.post("/account/password", data=form, headers=headers).status_code == 403
    told = world.client.post("/api/v1/login", json={"name": "ada", "password": PASSWORD})
    assert told.status_code == 200
