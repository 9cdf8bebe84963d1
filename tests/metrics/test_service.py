"""The metrics and the log of a service as people run it: several web processes, and schedulers."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.adapters.waiting import eventually
from tests.e2e.service import IMAGINED, SECONDS, Running, Service
from tests.metrics.told import Told, parsed, told

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]

SETTINGS = IMAGINED | {"BOOKING_WORKERS": "3", "BOOKING_LOG_FORMAT": "json"}
REQUESTS = 60


def page(url: str) -> Told:
    answer = requests.get(f"{url}metrics", timeout=SECONDS)
    assert answer.status_code == 200
    return parsed(answer.text)


def answered(found: Told) -> float:
    route = {"route": "/api/v1/packages", "method": "GET", "status": "2xx"}
    return told(found, "booking_http_request_seconds_count", **route) or 0.0


def test_every_process_counts_and_whichever_is_asked_tells_of_all(tmp_path: Path) -> None:
    service = Service(tmp_path, settings=SETTINGS)
    try:
        for _ in range(REQUESTS):
            service.json("GET", "/packages")
        asked = [answered(page(service.url)) for _ in range(10)]
        assert asked == [REQUESTS] * 10
        ids = {"X-Request-ID": "of-the-test-1"}
        requests.get(f"{service.url}api/v1/packages", headers=ids, timeout=SECONDS)
        ticks = eventually(lambda: told(page(service.url), "booking_tick_seconds_count", outcome="led"))
        assert ticks
        assert told(page(service.url), "booking_scheduler_leads") == 1
        assert told(page(service.url), "booking_database_connections_most") == 3 * (5 + 8)
    finally:
        service.close()
    lines = [json.loads(line) for line in service.log.splitlines()]
    seen = [line for line in lines if line.get("route") == "/api/v1/packages"]
    assert len(seen) == REQUESTS + 1
    assert len({line["process"] for line in seen}) > 1, "several processes were asked"
    assert [line["status"] for line in lines if line.get("request_id") == "of-the-test-1"] == [200]
    assert [line["message"] for line in lines if line.get("tick") == 1]


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


def test_a_scheduler_that_runs_by_itself_tells_its_metrics_at_its_port(tmp_path: Path) -> None:
    port, token = free_port(), "a-token-of-the-test"
    more = {"BOOKING_METRICS_PORT": port, "BOOKING_METRICS_TOKEN": token}
    Running(tmp_path, "init").process.wait(SECONDS)
    scheduler = Running(tmp_path, "scheduler", settings=IMAGINED | more)
    address = f"http://127.0.0.1:{port}"
    mine = {"Authorization": f"Bearer {token}"}
    try:
        scheduler.logs("leading with epoch")

        def ask(path: str, **headers: str) -> Callable[[], requests.Response]:
            return lambda: requests.get(f"{address}{path}", headers=headers, timeout=SECONDS)

        assert ask("/metrics")().status_code == 403
        assert ask("/elsewhere", **mine)().status_code == 404

        def leads() -> bool:
            found = parsed(ask("/metrics", **mine)().text)
            return told(found, "booking_scheduler_leads") == 1

        assert eventually(leads)
        second = Running(tmp_path, "scheduler", settings=IMAGINED | more)
        try:
            second.logs(re.escape(f"the metrics are not told: port {port}"))
            assert second.process.poll() is None, "it works all the same"
        finally:
            second.close()
    finally:
        scheduler.close()
