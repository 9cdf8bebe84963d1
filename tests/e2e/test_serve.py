"""The processes of the service: how they start, stop, die and come back."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from booking.adapters.local import processes
from booking.server.listening import SLOW_SECONDS
from tests.adapters.waiting import eventually
from tests.e2e.service import IMAGINED, PROGRAM, Running, Service, environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]

LONGEST_STOP = 5.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "service"


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    """A service whose clusters are imagined."""
    started = Service(folder)
    yield started
    started.close()


def is_ready(service: Service) -> bool:
    return requests.get(f"{service.url}readyz", timeout=10).ok


def living(parts: list[int]) -> list[processes.Process]:
    """Those of them that still run; what has ended and waits for the init of this machine does not."""
    table = processes.table()
    return [table[pid] for pid in parts if pid in table and not has_ended(table[pid])]


def has_ended(process: processes.Process) -> bool:
    """All threads of it: a first thread that has ended is told as if all had, and the last one closes the sockets."""
    try:
        threads = len(os.listdir(f"/proc/{process.pid}/task"))
    except FileNotFoundError:
        return True
    return process.state in "ZX" and threads <= 1


def refusal(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    """The exit code and standard error of a start that fails."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [PROGRAM, "serve", *words],
        cwd=folder,
        env=environment(folder / "home", settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_secrets_are_printed_once_and_logged_never(service: Service) -> None:
    assert service.token
    assert service.password
    eventually(lambda: is_ready(service))
    service.json("GET", "/packages")
    assert service.stop() == 0
    again = service.again()
    try:
        assert again.json("GET", "/bookings")["items"] == []
        assert "password" not in again.out
    finally:
        again.close()
    for log in (service.log, again.log):
        assert service.token not in log
        assert service.password not in log


def test_it_stops_within_five_seconds_and_leaves_no_process(service: Service) -> None:
    parts = service.parts()
    assert len(parts) >= 4  # itself, the web server and its worker, the scheduler
    asked = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - asked < LONGEST_STOP
    assert living(parts) == []


def test_control_c_in_a_terminal_stops_it_as_cleanly(service: Service) -> None:
    parts = service.parts()
    os.killpg(service.process.pid, signal.SIGINT)
    assert service.process.wait(60) == 0
    assert "Traceback" not in service.log
    assert living(parts) == []


def test_when_it_is_killed_its_parts_end_with_it_and_the_port_is_free(service: Service) -> None:
    parts = service.parts()
    service.process.kill()
    service.process.wait(60)
    eventually(lambda: not living(parts))
    address = urlsplit(service.url)
    with socket.create_server((str(address.hostname), address.port or 0)):
        pass


def test_a_scheduler_that_dies_is_started_again_and_that_is_told(service: Service) -> None:
    first = service.part("scheduler")
    os.kill(first, signal.SIGKILL)
    service.logs(r"the scheduler ended \(-9\) and is started again in 0\.5 s")
    eventually(lambda: len(re.findall("leading with epoch", service.log)) >= 2)
    assert service.part("scheduler") != first
    assert is_ready(service)


def test_a_web_server_that_dies_is_started_again_on_the_same_port(service: Service) -> None:
    first = service.part("gunicorn")
    os.kill(first, signal.SIGKILL)
    service.logs(r"the web ended \(-9\) and is started again in 0\.5 s")
    assert service.json("GET", "/bookings")["items"] == []
    assert service.part("gunicorn") != first


def test_a_port_that_is_taken_is_a_plain_refusal_before_anything_is_made(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = refusal(folder, "--port", str(port))
    assert code == 1
    assert said == (
        f"Error: Cannot listen on 127.0.0.1 port {port}: Address already in use. Another service may run there "
        "already; choose another port with --port or BOOKING_PORT.\n"
    )
    assert not (folder / "home").exists()


def test_an_unknown_provisioner_is_a_plain_refusal(folder: Path) -> None:
    code, said = refusal(folder, BOOKING_PROVISIONER="nul")
    assert (code, said) == (
        2,
        "Error: BOOKING_PROVISIONER: There is no provisioner 'nul'; known are local, null.\n",
    )


def test_a_client_that_falls_silent_in_a_request_gives_its_thread_back(folder: Path) -> None:
    """With one thread, whoever asks waits behind it: no longer than the patience with silence."""
    service = Service(folder, settings=IMAGINED | {"BOOKING_THREADS": "1"})
    address = urlsplit(service.url)
    try:
        with socket.create_connection((str(address.hostname), address.port or 0)) as silent:
            silent.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n.")
            asked = time.monotonic()
            assert service.json("GET", "/bookings")["items"] == []
            assert time.monotonic() - asked < 2 * SLOW_SECONDS
            silent.settimeout(SLOW_SECONDS)
            while silent.recv(2**16):  # it is told so, and its connection closed
                pass
    finally:
        service.close()


def test_the_scheduler_may_run_alone_beside_the_web(folder: Path) -> None:
    web = Service(folder, "--no-scheduler")
    scheduler: Running | None = None
    try:
        assert not is_ready(web)
        scheduler = Running(folder, "scheduler")
        eventually(lambda: is_ready(web))
        assert scheduler.stop() == 0
    finally:
        web.close()
        if scheduler is not None:
            scheduler.close()


def test_two_first_starts_at_once_make_one_site(folder: Path) -> None:
    both = [Running(folder, "init") for _ in range(2)]
    assert [one.process.wait(60) for one in both] == [0, 0]
    assert sorted("API token" in one.out for one in both) == [False, True]
    assert both[0].command("pool", "list").count("this-machine") == 2  # its name and its platform
