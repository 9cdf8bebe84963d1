"""One web server over one application, so that all are started alike: `serve.py SERVER APP FD WORKERS THREADS`.

FD is a listening socket. Granian binds for itself, and is given the port of it. The product's environment
comes first, so that the application meets the libraries it is made for.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

RIVALS = Path(__file__).resolve().parents[3] / ".venv" / "rivals" / "lib"


def application(name: str) -> Any:
    """What `module:function` makes."""
    module, _, factory = name.partition(":")
    return getattr(importlib.import_module(module), factory)()


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def gunicorn(app: str, descriptor: int, workers: int, threads: int, parser: str) -> None:
    """As the product starts it, with one of its two parsers."""
    words = [f"{app}()", "--bind", f"fd://{descriptor}", "--worker-class", "gthread", "--no-control-socket"]
    words += ["--workers", str(workers), "--threads", str(threads), "--http-parser", parser]
    sys.argv = ["gunicorn", *words, "--graceful-timeout", "30", "--log-level", "critical"]
    importlib.import_module("gunicorn.app.wsgiapp").run()


def waitress(app: str, listener: socket.socket, threads: int) -> None:
    """It has no word for a graceful end but this exception, which the main loop takes for one."""
    serve = importlib.import_module("waitress").serve
    signal.signal(signal.SIGTERM, _leave)
    serve(application(app), sockets=[listener], threads=threads, _quiet=True)


def cheroot(app: str, listener: socket.socket, threads: int) -> None:
    wsgi = importlib.import_module("cheroot.wsgi")
    # What it calls activation by systemd is the one way to hand it a socket.
    os.dup2(listener.fileno(), 3)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    server = wsgi.Server(("127.0.0.1", 0), application(app), numthreads=threads, shutdown_timeout=30)
    signal.signal(signal.SIGTERM, _leave)
    server.safe_start()


def granian(app: str, port: int, workers: int, threads: int) -> None:
    """As its documentation advises for WSGI: threads for the application, one for its own loop."""
    server = importlib.import_module("granian.server")
    constants = importlib.import_module("granian.constants")
    server.Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=constants.Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        factory=True,
        log_enabled=False,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=30,
        websockets=False,
    ).serve()


def several(workers: int, serve: Callable[[], None]) -> None:
    """As many processes as wanted, for servers that know only one; they end with the first."""
    mine = []
    for _ in range(workers):
        pid = os.fork()
        if pid == 0:
            serve()
            os._exit(0)
        mine.append(pid)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for pid in mine:
            with suppress(ProcessLookupError):  # it was killed already
                os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    for pid in mine:
        os.waitpid(pid, 0)


def main() -> None:
    name, app, descriptor, workers, threads = sys.argv[1:]
    # Last, so that the product's own libraries are met first.
    sys.path += [str(path) for path in RIVALS.glob("python3*/site-packages")]
    if name in ("python", "fast"):
        gunicorn(app, int(descriptor), int(workers), int(threads), name)
        return
    if name == "granian":
        granian(app, int(descriptor), int(workers), int(threads))
        return
    listener = socket.socket(fileno=int(descriptor))
    known = {"waitress": waitress, "cheroot": cheroot}
    several(int(workers), lambda: known[name](app, listener, int(threads)))


if __name__ == "__main__":
    main()
