"""Hostile texts in every field: the API takes them or refuses them, and no page runs what is in them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from booking import headers
from tests.security.eyes import look
from tests.security.hostile import COVERED, pages, plant, text_fields
from tests.security.payloads import PAYLOADS, packs
from tests.security.world import World
from tests.support.browser import chromium


def test_there_are_enough_and_every_text_field_is_tried() -> None:
    assert len(set(PAYLOADS)) >= 60
    assert text_fields() == COVERED


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_no_text_runs_anywhere(world: World, browser: Browser) -> None:
    planted = plant(world, 4)
    assert planted.faults == []
    assert planted.taken > 50
    seen = look(world, browser, pages(world, planted, 2), packs())
    assert (seen.ran, seen.stopped, seen.strange, seen.faults) == ([], [], [], [])
    assert seen.forms >= 10


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_the_browser_would_see_it(world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant(world, 20)
    world.app.jinja_env.autoescape = False
    detail = {"ada": [f"/bookings/{planted.bookings[0]}"]}
    stopped = look(world, browser, detail, [])
    assert stopped.strange
    assert stopped.stopped
    assert stopped.ran == []
    monkeypatch.setitem(headers.HEADERS, "Content-Security-Policy", "default-src * 'unsafe-inline'")
    assert look(world, browser, detail, []).ran
