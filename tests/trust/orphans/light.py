"""Light clusters: real guardians, namespaces, folders and deadlines around two tiny processes.

A trial puts a `sitecustomize` on the path of the service and of every guardian. It leads here, changes what
the two start for packages of one name, and which clock they read; the product knows nothing of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from booking.adapters.base import ClusterSpec, Endpoint
from booking.adapters.local import making, notebook
from booking.adapters.local.dask_engine import DaskEngine
from booking.adapters.local.parts import SOURCE, Command, Plan, free_ports
from booking.adapters.local.workspace import Inside
from tests.trust.orphans.clock import SteppedClock, replace_the_librarys
from tests.trust.orphans.plants import plant

PACKAGE = "light"
GUARDIAN = "booking.adapters.local.guardian"
_SERVICE = ("booking.cli", "gunicorn")
_PART = """
import os, signal, socket, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    peer, _ = listener.accept()
    asked = peer.recv(65536)
    if asked.startswith(b"RUN "):
        while more := peer.recv(65536):
            asked += more
        if os.fork() == 0:
            listener.close()
            peer.close()
            exec(asked[4:].decode(), {"__name__": "__main__"})
            os._exit(0)
    peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    peer.close()
"""
"""Answers every question with 200, and runs the program it is sent in a child, as a kernel would."""


def install(folder: str) -> None:
    """Called by `sitecustomize`: let this process, if it is one of the product, take part in the trial."""
    words = sys.orig_argv
    if GUARDIAN in words:
        use_light_parts()
        replace_the_librarys(SteppedClock(Path(folder, "clock")))
        plant(Path(folder, "plant").read_text(), Path(folder))
    elif any(word in _SERVICE for word in words):
        from booking.doors import SystemClock
        from booking.scheduler import Scheduler

        clock = SteppedClock(Path(folder, "clock"))
        SystemClock.now = lambda self: clock.now()  # type: ignore[method-assign]
        # The beat is APScheduler's, which knows the machine's clock only.
        Scheduler.now = lambda self: datetime.now(UTC)  # type: ignore[method-assign]
        lead_guardians_to(Path(folder))


def make_site(folder: Path, fault: str = "") -> Path:
    """Write what leads a process to :func:`install`; the folder for its `PYTHONPATH`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plant").write_text(fault)
    call = f"from tests.trust.orphans.light import install\ninstall({str(folder)!r})\n"
    (folder / "sitecustomize.py").write_text(call)
    return folder


def lead_guardians_to(site: Path | str) -> str:
    """Let the guardians that this process starts pass by :func:`install`; where they were led before."""
    before = str(vars(making)["SOURCE"])
    vars(making)["SOURCE"] = f"{site}{os.pathsep}{SOURCE}"
    return before


def use_light_parts() -> None:
    """Start tiny processes for packages named :data:`PACKAGE`, and the real ones for all others."""
    full_plan: Callable[[DaskEngine, ClusterSpec, Inside], Plan] = DaskEngine.plan
    full_command = notebook.command

    def plan(self: DaskEngine, spec: ClusterSpec, inside: Inside) -> Plan:
        return _light_plan() if spec.package == PACKAGE else full_plan(self, spec, inside)

    def command(spec: ClusterSpec, inside: Inside, token: str, port: int) -> Command:
        if spec.package != PACKAGE:
            return full_command(spec, inside, token, port)
        return _part("notebook", port)

    DaskEngine.plan = plan  # type: ignore[method-assign]
    notebook.command = command


def _light_plan() -> Plan:
    (port,) = free_ports(1)
    endpoint = Endpoint("scheduler", f"tcp://127.0.0.1:{port}")
    return Plan((_part("scheduler", port),), {}, (endpoint,), ())


def _part(name: str, port: int) -> Command:
    return Command(name, (sys.executable, "-I", "-S", "-c", _PART, str(port)))
