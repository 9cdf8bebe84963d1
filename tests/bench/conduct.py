"""What a web server does when it is ended, killed, held up or lied to: tried on each, over a small application."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.field import are_installed
from tests.bench.servers import SERVERS, Server, Started, started

APP = "tests.bench.rivals.plain:make"
_SLOW_SECONDS = 3.0
"""How long somebody waits behind slow clients before that is called held up."""
_GONE_SECONDS = 10.0
_WORKERS, _THREADS = 1, 4
_HEAD = b"Host: localhost\r\n"


@dataclass
class Conduct:
    """What was seen of one server."""

    server: str
    seen: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"what": "conduct of a server", "server": self.server, **self.seen}


def conducts(folder: Path) -> list[Conduct]:
    """All trials of all servers that are installed."""
    trials: dict[str, Callable[[Server, Path], Any]] = {
        "begun requests answered after SIGTERM": finishes,
        "requests lost while one takes over from another": hands_over,
        "answered behind slow headers": lambda server, home: answers_behind(server, home, b"GET / HT"),
        "answered behind slow bodies": lambda server, home: answers_behind(
            server, home, b"POST / HTTP/1.1\r\n" + _HEAD + b"Content-Length: 9\r\n\r\n."
        ),
        "pipelined requests answered in order": pipelines,
        "statuses where two lengths contradict": refuses_two_lengths,
        "status of a header of 64 KiB": long_header,
        "a killed process is replaced after": replaces,
    }
    found = []
    for server in SERVERS if are_installed() else SERVERS[:1]:
        one = Conduct(server.name)
        for name, trial in trials.items():
            one.seen[name] = trial(server, folder / server.key)
            print(f"{server.name}: {name}: {one.seen[name]}", file=sys.stderr, flush=True)
        found.append(one)
    return found


def finishes(server: Server, home: Path) -> str:
    """Four requests are being answered when the server is told to end."""
    with started(server, home, workers=_WORKERS, threads=_THREADS) as one:
        answered: list[bytes] = []

        def ask() -> None:
            try:
                answered.append(one.ask("/wait?1.0", timeout=20))
            except (OSError, http.client.HTTPException):
                return

        threads = [threading.Thread(target=ask) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        one.process.terminate()
        for thread in threads:
            thread.join()
        return f"{len(answered)} of {_THREADS}, {_gone(one)}"


def _gone(one: Started) -> str:
    """How long it takes to end after what it has answered."""
    began = time.monotonic()
    try:
        one.process.wait(_GONE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"still there {_GONE_SECONDS:g} s later"
    return f"gone {time.monotonic() - began:.1f} s later"


def hands_over(server: Server, home: Path) -> str:
    """As the product renews its server: another comes up on the same address, then the first ends."""
    with started(server, home, workers=_WORKERS, threads=_THREADS) as one, _asking(one) as counts:
        if server.inherits:
            listener = socket.socket(fileno=os.dup(one.listener.fileno()))
            heir = Started(server, APP, {}, home, workers=_WORKERS, threads=_THREADS, listener=listener)
            _await(lambda: _answers_of(one, heir.family()[1:]))
            one.process.terminate()
            _gone(one)
        else:
            before = one.family()
            os.kill(one.process.pid, signal.SIGHUP)  # its own way to do the same
            _await(lambda: _answerer(one) not in before)
            heir = one
        time.sleep(0.5)
        counts["stop"] = 1
        _await(lambda: not counts["asking"])
        heir.close()
        return f"{counts['lost']} of {counts['asked']}"


def _answers_of(one: Started, family: list[int]) -> bool:
    return _answerer(one) in family


def _answerer(one: Started, timeout: float = 10.0) -> int:
    """The process that answers just now."""
    return int(one.ask("/", timeout).split()[0])


class _asking:  # noqa: N801  # reads as what it does
    """Four clients that come anew for each request."""

    def __init__(self, one: Started) -> None:
        self._one = one
        self.counts = {"asked": 0, "lost": 0, "stop": 0, "asking": 4}
        self._lock = threading.Lock()

    def __enter__(self) -> dict[str, int]:
        for _ in range(4):
            threading.Thread(target=self._ask).start()
        return self.counts

    def __exit__(self, *_: object) -> None:
        self.counts["stop"] = 1

    def _ask(self) -> None:
        while not self.counts["stop"]:
            lost = 0
            try:
                self._one.ask("/")
            except (OSError, http.client.HTTPException):
                lost = 1
            with self._lock:
                self.counts["asked"] += 1
                self.counts["lost"] += lost
        with self._lock:
            self.counts["asking"] -= 1


def answers_behind(server: Server, home: Path, begun: bytes) -> str:
    """Whether somebody is answered while twice as many clients as threads have sent a part of a request."""
    with started(server, home, workers=_WORKERS, threads=_THREADS) as one:
        slow = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(2 * _THREADS)]
        for client in slow:
            client.sendall(begun)
        time.sleep(0.3)
        began = time.monotonic()
        try:
            one.ask("/", timeout=_SLOW_SECONDS)
            said = f"yes, after {1000 * (time.monotonic() - began):.0f} ms"
        except OSError:
            said = f"not within {_SLOW_SECONDS:g} s"
        for client in slow:
            client.close()
        return said


def pipelines(server: Server, home: Path) -> str:
    """A POST with a body and a GET in one packet."""
    post = b"POST / HTTP/1.1\r\n" + _HEAD + b"Content-Length: 5\r\n\r\n12345"
    get = b"GET / HTTP/1.1\r\n" + _HEAD + b"Connection: close\r\n\r\n"
    said = _said(server, home, post + get)
    return "yes" if re.search(rb"\d+ 5.*HTTP/1.1 200.*\d+ 0", said, re.DOTALL) else f"no: {said[:200]!r}"


def refuses_two_lengths(server: Server, home: Path) -> str:
    """A body whose end two headers name differently: what smuggles one request in another."""
    both = b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"
    body = b"0\r\n\r\nGGET / HTTP/1.1\r\n" + _HEAD + b"\r\n"
    said = _said(server, home, b"POST / HTTP/1.1\r\n" + _HEAD + both + b"\r\n" + body)
    return _statuses(said)


def _statuses(said: bytes) -> str:
    return ", ".join(found.decode() for found in re.findall(rb"HTTP/1.. (...) ", said)) or "none"


def long_header(server: Server, home: Path) -> str:
    said = _said(server, home, b"GET / HTTP/1.1\r\n" + _HEAD + b"X-Long: " + b"x" * 2**16 + b"\r\n\r\n")
    return _statuses(said)


def _said(server: Server, home: Path, request: bytes) -> bytes:
    """All that a server answers to some bytes, until it closes or is silent for a second."""
    with started(server, home, workers=_WORKERS, threads=_THREADS) as one:
        client = socket.create_connection(("127.0.0.1", one.port), timeout=1.0)
        said = b""
        try:
            client.sendall(request)
            while part := client.recv(2**16):
                said += part
        except OSError:
            pass  # silence and a reset are answers, too
        client.close()
        return said


def replaces(server: Server, home: Path) -> str:
    """One of two processes is killed."""
    with started(server, home, workers=2, threads=_THREADS) as one:
        answering = {_answerer(one)}

        def both_answer() -> bool:
            answering.add(_answerer(one))
            return len(answering) == 2

        _await(both_answer)
        before = set(one.family()) | answering
        os.kill(answering.pop(), signal.SIGKILL)
        began = time.monotonic()
        lost = 0
        while time.monotonic() < began + 3.0:
            try:
                fresh = _answerer(one, timeout=2.0) not in before
            except (OSError, http.client.HTTPException):
                lost, fresh = lost + 1, False
            if fresh:
                return f"{time.monotonic() - began:.1f} s, {lost} requests lost"
        return f"never, {lost} requests lost"


def _await(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30.0
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError("waited in vain")
        time.sleep(0.01)
