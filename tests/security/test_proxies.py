"""Whose address it is: that of the connection, or what the proxies in front say, and never what the caller says."""

from __future__ import annotations

from pathlib import Path

from tests.security.world import World, open_world


def tries(world: World, *forwarded: str) -> list[int]:
    """The statuses of attempts to sign in, each under another name, with these headers."""
    return [
        world.client.post(
            "/api/v1/login",
            json={"name": f"nobody{number}", "password": "x"},
            headers={"X-Forwarded-For": address},
        ).status_code
        for number, address in enumerate(forwarded)
    ]


def test_without_a_proxy_the_header_says_nothing(tmp_path: Path) -> None:
    with open_world(tmp_path, login_limit="2 per hour") as world:
        assert tries(world, "192.0.2.1", "192.0.2.2", "192.0.2.3") == [401, 401, 429]


def test_behind_a_proxy_each_caller_has_an_address_that_it_cannot_choose(tmp_path: Path) -> None:
    with open_world(tmp_path, login_limit="2 per hour", proxies=1) as world:
        assert tries(world, "192.0.2.1", "192.0.2.2", "192.0.2.3") == [401, 401, 401]
        assert tries(world, "a, 192.0.2.9", "b, 192.0.2.9", "c, 192.0.2.9") == [401, 401, 429]


def test_https_is_what_the_proxy_says(tmp_path: Path) -> None:
    for proxies, wanted in ((0, False), (1, True)):
        folder = tmp_path / str(proxies)
        folder.mkdir()
        with open_world(folder, proxies=proxies) as world:
            answer = world.client.get("/healthz", headers={"X-Forwarded-Proto": "https"})
        assert ("Strict-Transport-Security" in answer.headers) is wanted
