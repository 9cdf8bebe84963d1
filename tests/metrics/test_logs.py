"""Lines of the log: whole, one for each message, and with what they belong to."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from booking import logs
from booking.adapters.null import NullProvisioner
from booking.scheduler import Scheduler
from booking.services import audit, bookings, work
from tests.api.support import Site, wish

log = logging.getLogger("booking.test")


@pytest.fixture
def as_json(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "booking")
    caplog.handler.setFormatter(logs.Json())
    return caplog


def lines(caplog: pytest.LogCaptureFixture, logger: str = "") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in caplog.text.splitlines()]
    return [line for line in found if line["logger"].startswith(logger)]


def test_a_line_has_time_level_logger_and_what_it_tells_of(as_json: pytest.LogCaptureFixture) -> None:
    with logs.about(tick=7), logs.about(work="abc"):
        log.warning("%d of %s\nsecond line", 3, "many")
    log.info("after")
    first, second = lines(as_json)
    assert first["time"].endswith("Z")
    assert (first["level"], first["logger"], first["tick"], first["work"]) == (
        "warning",
        "booking.test",
        7,
        "abc",
    )
    assert first["message"] == "3 of many\nsecond line"
    assert isinstance(first["process"], int)
    assert "tick" not in second


def test_what_went_wrong_stands_in_the_line(as_json: pytest.LogCaptureFixture) -> None:
    try:
        raise RuntimeError("x" * 20_000)
    except RuntimeError:
        log.exception("failed: %s", "y" * 20_000)
    (line,) = lines(as_json)
    assert line["exception"].endswith("xxx")
    assert len(as_json.text) < 12_000


def test_no_message_passes_for_two_lines_of_text() -> None:
    form = logs.Text()
    record = logging.LogRecord(
        "booking", logging.INFO, "", 1, "a\n2030-01-01 ERROR %s", ("b\r\x1b[1mc",), None
    )
    line = form.format(record)
    assert line.isprintable()
    assert r"a\n2030-01-01 ERROR b\r\x1b[1mc" in line
    with logs.about(tick=1):
        assert form.format(record).endswith(" [tick=1]")


def test_a_request_is_one_line_with_who_what_where_and_how_long(
    site: Site, as_json: pytest.LogCaptureFixture
) -> None:
    root = site.root
    as_json.clear()
    answer = root.get("/pools/nowhere")
    (line,) = lines(as_json, "booking.access")
    assert line.pop("request_id") == answer.headers["X-Request-Id"]
    assert line["route"] == "/api/v1/pools/<pool>"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/pools/nowhere", 404)
    assert isinstance(line["ms"], float)
    assert line["account"] == root.get("/accounts/me").json["id"]
    as_json.clear()
    site.nobody.get("/nowhere")
    (line,) = lines(as_json, "booking.access")
    assert (line["route"], line["account"]) == (None, None)


@pytest.mark.parametrize("given", ["0123456789abcdef", "7f1c-2b.3_A", "a" * 64])
def test_an_id_that_comes_with_a_request_is_its_id(
    site: Site, as_json: pytest.LogCaptureFixture, given: str
) -> None:
    answer = site.root.get("/pools/nowhere", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-Id"] == given
    assert answer.must(404)["request_id"] == given
    assert lines(as_json, "booking.access")[-1]["request_id"] == given


@pytest.mark.parametrize(
    "given",
    ["", "short", "a" * 65, "with space 123", "semi;colon;1234", "ümlaut-ümlaut", "..........", "<b>123456"],
)
def test_an_id_that_could_do_harm_is_not(site: Site, given: str) -> None:
    answer = site.root.get("/pools", headers={"X-Request-ID": given.encode().decode("latin-1")})
    assert answer.headers["X-Request-Id"] != given
    assert logs.is_id(answer.headers["X-Request-Id"])


def test_what_a_request_breaks_is_found_by_its_id(
    site: Site, as_json: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    ann = site.person("ann")
    monkeypatch.setattr(bookings, "_locked", fail)
    told = ann.post("/bookings", json=wish()).must(500, "service.error")["request_id"]
    about = [line for line in lines(as_json) if line.get("request_id") == told]
    assert {line["logger"] for line in about} == {"booking.api", "booking.access"}
    assert "planted" in about[0]["exception"]
    log.info("outside of any request")
    assert "request_id" not in lines(as_json)[-1]


def test_what_a_scheduler_says_names_its_tick_and_its_work(
    site: Site, as_json: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    site.person("ann").post("/bookings", json=wish()).must(201)
    site.ctx.clock.sleep(30 * 86400.0)
    monkeypatch.setattr(work, "lock_pool", fail)
    monkeypatch.setattr(audit, "audit", lambda *_: {})
    scheduler = Scheduler(site.ctx, NullProvisioner(site.ctx.clock), "test")
    scheduler.tick()
    scheduler.tick()
    failed = [line for line in lines(as_json, "booking.services.work") if "failed" in line["message"]]
    assert failed
    assert all(line["work"] in line["message"] for line in failed)
    assert {line["tick"] for line in failed} <= {1, 2}
    assert [line["tick"] for line in lines(as_json) if "leading with epoch" in line["message"]] == [1]


def test_both_forms_are_written_to_standard_error_and_debug_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, ours = logging.getLogger(), logging.getLogger("booking")
    monkeypatch.setattr(root, "handlers", [])
    levels = root.level, ours.level
    try:
        logs.configure("json")
        log.info("for programs")
        logging.getLogger("foreign").info("not a word")
        log.debug("not a word")
        logs.configure("text")
        log.info("for people")
    finally:
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
    first, second = capsys.readouterr().err.splitlines()
    assert json.loads(first)["message"] == "for programs"
    assert second.endswith("INFO booking.test: for people")
