"""The page of metrics: who may read it, what stands in it, and what never does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from booking import create_app, metrics
from booking.adapters.null import NullProvisioner
from booking.config import Settings, SettingsError, read_settings
from booking.doors import Doors
from booking.errors import Unavailable
from booking.scheduler import Scheduler
from booking.services import pausing
from tests.api.support import Site, wish
from tests.metrics.told import Told, parsed, told

TOKEN = "a-token-of-the-metrics"


def page_of(site: Site) -> Told:
    answer = site.app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["Cache-Control"] == "no-store"
    return parsed(answer.get_data(as_text=True))


def test_every_metric_is_told_with_its_help(site: Site) -> None:
    said = site.app.test_client().get("/metrics").get_data(as_text=True)
    assert [name for name in sorted(metrics.names()) if f"# HELP {name} " not in said] == []
    assert len(metrics.names()) >= 25
    page = page_of(site)
    assert {name for name, _ in page if not name.startswith("booking_")} == set()
    assert told(page, "booking_database_up") == 1
    assert told(page, "booking_scheduler_led") == 1


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}},
        {"environ_base": {"REMOTE_ADDR": "127.0.0.1.example"}},
        {"base_url": "http://booking.example/"},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"X-Real-IP": "127.0.0.1"}},
        {"headers": {"Forwarded": "for=127.0.0.1"}},
        {"headers": {"Via": "1.1 proxy"}},
        {"headers": {"Authorization": f"Bearer {TOKEN}"}, "environ_base": {"REMOTE_ADDR": "::2"}},
    ],
    ids=str,
)
def test_without_a_token_only_this_machine_may_read_it(site: Site, elsewhere: dict[str, Any]) -> None:
    answer = site.app.test_client().get("/metrics", **elsewhere)
    assert answer.status_code == 403
    assert answer.get_json()["code"] == "auth.forbidden"
    for name in ("localhost", "127.0.0.1:8000", "[::1]:8000"):
        assert site.app.test_client().get("/metrics", base_url=f"http://{name}/").status_code == 200


@pytest.mark.parametrize("settings", [{"proxies": 1}, {"secure_cookies": True}], ids=str)
def test_behind_a_proxy_nobody_is_taken_for_this_machine(
    doors: Doors, tmp_path: Path, settings: dict[str, Any]
) -> None:
    app = create_app(Settings(home=tmp_path, provisioner="null", secret_key="s" * 32, **settings), doors)
    for address in ("127.0.0.1", "::1"):
        answer = app.test_client().get("/metrics", environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == 403


def test_with_a_token_whoever_has_it_may_read_it_and_nobody_else(doors: Doors, tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, provisioner="null", secret_key="s" * 32, metrics_token=TOKEN, proxies=1
    )
    client = create_app(settings, doors).test_client()
    far = {"REMOTE_ADDR": "192.0.2.7"}
    good = client.get("/metrics", environ_base=far, headers={"Authorization": f"Bearer {TOKEN}"})
    assert good.status_code == 200
    assert TOKEN not in good.get_data(as_text=True)
    for headers in ({}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": TOKEN}):
        refused = client.get("/metrics", headers=headers)
        assert refused.status_code == 401
        assert refused.get_json()["code"] == "auth.required"


def test_a_token_that_could_be_guessed_is_no_setting() -> None:
    assert read_settings({"BOOKING_METRICS_TOKEN": TOKEN}).metrics_token == TOKEN
    assert TOKEN not in repr(read_settings({"BOOKING_METRICS_TOKEN": TOKEN}))
    for bad in ("short", "has a space in its midst", "has-a-letter-beyond-ASCII-ü"):
        with pytest.raises(SettingsError, match="BOOKING_METRICS_TOKEN has at least 16"):
            read_settings({"BOOKING_METRICS_TOKEN": bad})


def test_a_request_is_counted_by_its_route_and_never_by_its_address(site: Site) -> None:
    route = {"route": "/api/v1/bookings/<booking>", "method": "GET", "status": "4xx"}
    other = {"route": "none", "method": "any", "status": "4xx"}
    name = "booking_http_request_seconds_count"
    before = page_of(site)
    for number in range(20):
        site.root.get(f"/bookings/guess{number}").must(404)
        site.app.test_client().open(f"/nowhere/{number}", method=f"VERB{number}")
    after = page_of(site)
    assert (told(after, name, **route) or 0) - (told(before, name, **route) or 0) == 20
    assert (told(after, name, **other) or 0) - (told(before, name, **other) or 0) == 20
    values = {value for _, labels in after for _, value in labels}
    assert not [value for value in values if "guess" in value or "VERB" in value or "nowhere" in value]


def test_no_name_of_a_person_or_a_booking_stands_in_it(site: Site) -> None:
    ann = site.person("ann-with-a-rare-name")
    ann.post("/bookings", json=wish(title="a-title-nobody-else-has")).must(201)
    ann.post("/bookings", json=wish("large", pool="no-such-pool-anywhere")).must(422)
    said = site.app.test_client().get("/metrics").get_data(as_text=True)
    for secret in ("ann-with", "a-title", "no-such-pool"):
        assert secret not in said


def test_the_backlog_is_read_from_the_rows_also_where_no_scheduler_runs(site: Site) -> None:
    root = site.root
    made = root.post("/bookings", json=wish()).must(201)
    start = made["reservations"][0]["start"]
    assert start > site.ctx.clock.now().isoformat()
    assert told(page_of(site), "booking_work_due") == 0
    assert told(page_of(site), "booking_work_late_seconds") == 0
    site.ctx.clock.sleep(timedelta(days=30).total_seconds())
    page = page_of(site)
    assert (told(page, "booking_work_due") or 0) >= 2
    assert (told(page, "booking_work_late_seconds") or 0) > 3600
    assert told(page, "booking_scheduler_led") == 0, "the last one led a month ago"
    scheduler = Scheduler(site.ctx, NullProvisioner(site.ctx.clock), "test")
    scheduler.tick()
    page = page_of(site)
    assert told(page, "booking_work_due") == 0
    assert told(page, "booking_scheduler_led") == 1
    assert told(page, "booking_pool_closed", pool="main") == 0
    assert told(page, "booking_clusters", phase="ready") == 0


def test_what_keeps_the_service_from_its_work_is_told(site: Site) -> None:
    site.root.post("/bookings", json=wish()).must(201)

    def readings() -> list[float | None]:
        found = page_of(site)
        pool = told(found, "booking_pool_closed", pool="main")
        return [pool, *(told(found, f"booking_{name}") for name in ("scheduler_paused", "work_failing"))]

    assert readings() == [0, 0, 0]
    pausing.pause(site.ctx, "to look at the machine room")
    site.ctx.clock.sleep(timedelta(days=30).total_seconds())

    def plant(session: Session) -> None:
        session.execute(text("UPDATE pool SET closed_reason = 'planted'"))
        session.execute(text("UPDATE work SET attempts = 1"))

    site.ctx.db.run("plant", plant)
    pool, paused, failing = readings()
    assert (pool, paused) == (1, 1)
    assert failing is not None
    assert failing >= 2


def test_with_the_database_away_the_rest_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unavailable("The database cannot be reached.")

    monkeypatch.setattr(site.ctx.db, "read", away)
    page = page_of(site)
    assert told(page, "booking_database_up") == 0
    assert told(page, "booking_work_due") is None
    assert [name for name, _ in page if name.startswith("booking_http_request_seconds")]
