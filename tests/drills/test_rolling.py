"""The service is renewed while it serves: no request fails, and no cluster is made twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from booking import server
from tests.adapters.waiting import eventually
from tests.drills.rolling import roll
from tests.e2e.service import IMAGINED, Service

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]


def test_no_request_fails_while_the_service_is_renewed(tmp_path: Path) -> None:
    result = roll(tmp_path, restarts=2, rate=10)
    assert result.failed == []
    assert result.restarts == 2
    assert result.requests > 10
    assert set(result.made) == {1}
    assert result.gone


def test_a_new_web_server_that_does_not_come_up_leaves_the_old_one_in_service(
    tmp_path: Path,
) -> None:
    """As after an upgrade that went wrong: here the secret key is gone and cannot be made."""
    service = Service(tmp_path, settings=IMAGINED | {"BOOKING_WORKERS": "1"})
    try:
        (service.home / "secret_key").unlink()
        (service.home / "secret_key").mkdir()
        os.kill(service.process.pid, signal.SIGHUP)
        service.logs("the new web did not come up; the old one serves on")
        assert service.call("GET", "/bookings").ok
    finally:
        service.close()


def test_a_stop_in_the_midst_of_it_ends_everything(tmp_path: Path) -> None:
    service = Service(tmp_path)
    os.kill(service.process.pid, signal.SIGHUP)
    eventually(lambda: len(service.parts()) >= 5)
    parts = service.parts()
    assert service.stop() == 0
    assert server.STOP_SECONDS < server.GRACE_SECONDS
    from booking.adapters.local import processes

    eventually(lambda: not set(parts) & set(processes.table()))
