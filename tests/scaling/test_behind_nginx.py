"""Past one machine: two web servers and two schedulers on one PostgreSQL, and a real nginx in front of them."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from http.cookiejar import CookieJar
from uuid import uuid4

import pytest
import requests
from sqlalchemy import URL

from booking.services.verify import differences
from tests.adapters.waiting import eventually
from tests.scaling.farm import PASSWORD, Farm, farm, hour, together
from tests.scaling.front import PROGRAM, trusting
from tests.support.postgres import database

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.xdist_group("serve"),
    pytest.mark.skipif(PROGRAM is None, reason="nginx is missing: tools/setup.sh nginx"),
]

ROOM = 10
"""How many pairs fit at once."""


@pytest.fixture(scope="module")
def several(postgres_server: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    with (
        database(postgres_server, f"booking_{uuid4().hex}") as url,
        farm(url.render_as_string(hide_password=False), folder, cores=2 * ROOM) as made,
    ):
        yield made


def test_clients_race_through_nginx_and_nothing_is_oversold(several: Farm) -> None:
    before, answers = several.count(), Counter[int]()
    start = hour(24)

    def client(number: int) -> None:
        browser = several.browser()
        for turn in range(5):
            answers[several.book(browser, start, f"race-{number}-{turn}").status_code] += 1

    together([lambda number=number: client(number) for number in range(4)])  # type: ignore[misc]
    assert answers == {201: ROOM, 409: 20 - ROOM}
    assert several.count() - before == ROOM
    assert len(several.front.upstreams()) == 2, "both web servers took part"
    assert differences(several.site.ctx) == []


def test_a_session_holds_on_every_web_server(several: Farm) -> None:
    browser = several.browser()
    assert signed_in(several, browser, "ann", PASSWORD).url.endswith("/calendar")
    jar: CookieJar = browser.cookies
    assert [(cookie.name, cookie.secure) for cookie in jar] == [("__Host-session", True)]
    before = several.front.upstreams()
    for _ in range(8):
        page = browser.get(f"{several.front.url}bookings", timeout=30, allow_redirects=False)
        assert page.status_code == 200
        assert page.headers["Strict-Transport-Security"]
    assert len(several.front.upstreams() - before) == 2


def test_the_rate_of_logins_is_counted_for_the_real_client_on_all_web_servers(several: Farm) -> None:
    def tries(browser: requests.Session, name: str) -> int:
        return signed_in(several, browser, name, "wrong password").status_code

    eager, other = several.browser("127.0.0.7"), several.browser("127.0.0.8")
    assert [tries(eager, f"nobody{number}") for number in range(5)] == [401, 401, 401, 401, 429]
    eager.headers["X-Forwarded-For"] = "127.0.0.9"
    assert tries(eager, "nobody6") == 429, "what a client claims to be is not believed"
    assert tries(other, "nobody7") == 401


def signed_in(several: Farm, browser: requests.Session, name: str, password: str) -> requests.Response:
    page = browser.get(f"{several.front.url}login", timeout=30)
    (token,) = set(re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', page.text))
    form = {"name": name, "password": password, "csrf_token": token}
    referrer = {"Referer": f"{several.front.url}login"}
    return browser.post(f"{several.front.url}login", data=form, headers=referrer, timeout=30)


def test_slow_clients_end_at_nginx(several: Farm) -> None:
    """More of them than all threads of the service; some send half a head, others half a body."""
    context = trusting(several.front.certificate)
    begun = (b"GET / HT", b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n.")
    slow = []
    for number in range(40):
        raw = socket.create_connection(("127.0.0.1", several.front.port))
        slow.append(context.wrap_socket(raw, server_hostname="127.0.0.1"))
        slow[-1].sendall(begun[number % 2])
    browser = several.browser()
    for _ in range(4):
        assert several.get(browser, "healthz").elapsed.total_seconds() < 5
    for client in slow:
        client.close()


def test_the_other_scheduler_takes_over(several: Farm) -> None:
    first, second = several.schedulers
    becomes_active(several, "before")
    first.kill()
    second.logs("leading with epoch")
    becomes_active(several, "after")


def becomes_active(several: Farm, key: str) -> None:
    """A booking from this hour on, and longer than an hour, so that no turn of the hour can end it."""
    client = several.browser()
    made = several.book(client, hour(0), key, hours=3)
    assert made.status_code == 201, made.text
    states: list[str] = []

    def is_settled() -> bool:
        states.append(str(several.get(client, f"api/v1/bookings/{made.json()['id']}").json()["state"]))
        return states[-1] in {"active", "ended", "failed"}

    eventually(is_settled)
    assert states[-1] == "active", list(dict.fromkeys(states))


def test_a_web_server_that_is_killed_costs_no_accepted_booking_and_no_question(several: Farm) -> None:
    """The last test: one of the two is gone afterwards."""
    before, accepted, asked = several.made(), dict[str, str](), Counter[int]()
    victim = several.webs[0]
    gone, asking = [False], dict[int, float]()

    def books(number: int) -> None:
        browser = several.browser()
        turn = 0
        while turn < 12 or not gone[0]:
            key = f"killed-{number}-{turn}"
            asking[number] = time.monotonic()
            answer = several.book(browser, hour(48 + turn % 200), key)
            assert answer.status_code in (201, 409), answer.text
            if answer.status_code == 201:
                accepted[key] = answer.json()["id"]
            turn += 1

    def asks() -> None:
        browser = several.browser()
        while not gone[0]:
            asked[several.get(browser, "api/v1/bookings?limit=1").status_code] += 1

    def kills() -> None:
        eventually(lambda: len(accepted) >= 6)
        os.kill(victim.parts()[-1], signal.SIGSTOP)
        # Somebody waits for what it will not finish.
        eventually(lambda: any(time.monotonic() - since > 1.0 for since in asking.values()))
        victim.kill()
        before_it = len(accepted)
        eventually(lambda: len(accepted) >= before_it + 6)
        gone[0] = True

    statuses = several.front.statuses()
    together([lambda: books(0), lambda: books(1), lambda: books(2), asks, kills])
    assert several.made() - before == set(accepted.values())
    assert len(set(accepted.values())) == len(accepted), "a key that was repeated booked once"
    assert set(asked) == {200}
    assert (several.front.statuses() - statuses)["502"], "a POST was cut, and nginx did not repeat it"
    assert differences(several.site.ctx) == []
