"""The process that stands guard over one cluster, apart from the service that started it.

`python -m booking.adapters.local.guardian FOLDER` starts it in the background and answers at once. It
stays outside the cluster's namespaces, holds the cluster's first process (:class:`Keeper`), and when
that has ended, with everything it contained, removes the folder as its last act. If it is itself
killed, the kernel ends the cluster with it; the folder is then removed by the service.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from booking.adapters.local import containment, linux, processes
from booking.adapters.local.containment import Containment
from booking.adapters.local.engine import find_engine
from booking.adapters.local.keeper import Held, Keeper
from booking.adapters.local.sandbox import Sandbox
from booking.adapters.local.workspace import Workspace

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_REMOVALS = 5
_LAST_FILES = ("state.json", "guardian.json")


def main(folder: Path) -> int:
    """Start the guardian in the background; 0 once it has written who it is."""
    # Blocked from the first moment: whoever tells it to end must not catch it unprepared.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    hear, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return 0 if os.read(hear, 1) else 1
    os.close(hear)
    os.setsid()
    os.umask(0o077)
    workspace = Workspace(folder)
    _write_output_to(workspace)
    myself = processes.identify(os.getpid())
    if myself is None:
        raise RuntimeError("This machine has no /proc.")
    workspace.set_guardian(myself)
    os.write(tell, b"!")
    os.close(tell)
    _guard(workspace)
    os._exit(0)


def _write_output_to(workspace: Workspace) -> None:
    workspace.logs.mkdir(mode=0o700, exist_ok=True)
    log = os.open(workspace.logs / "guardian.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _guard(workspace: Workspace) -> None:
    launch = workspace.read_json("launch.json") or {}
    held = Containment(launch["containment"])
    containment.enter(held)
    linux.become_subreaper()
    lifeline, ours = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(ours)
        _follow(held, lifeline)
        _keep(workspace, held, launch)
        os._exit(0)
    os.close(lifeline)
    status = _wait_for(keeper)
    processes.end_children(0)
    if status != 0:
        _mourn(workspace, status)
    _remove(workspace.folder)


def _follow(held: Containment, lifeline: int) -> None:
    """Let this first process inside end with its guardian, also if that ended before it could be asked."""
    linux.die_with_parent(signal.SIGKILL if held.isolates else signal.SIGTERM)
    # In a namespace of its own it cannot see who its parent is. The guardian writes nothing here.
    if select.select([lifeline], [], [], 0)[0]:
        os._exit(1)
    os.close(lifeline)


def _keep(workspace: Workspace, held: Containment, launch: dict[str, Any]) -> None:
    """The life of the first process inside."""
    inside = workspace.inside()
    inside.make()
    notes: tuple[str, ...] = (held.sentence,)
    if held.isolates:
        workspace = _hold(workspace)
        containment.own_mounts()
        hide = [Path(path) for path in launch["hide"]]
        notes += Sandbox(inside, hide, launch["shared_memory_mib"]).build()
    else:
        linux.become_subreaper()
    Keeper(workspace, inside, find_engine(launch["engine"]), Held(held, notes)).run(launch["grace"])


def _hold(workspace: Workspace) -> Workspace:
    """The same folder by an open handle, which still leads there when the path has been hidden."""
    handle = os.open(workspace.folder, os.O_RDONLY | os.O_DIRECTORY)
    return Workspace(Path(f"/proc/self/fd/{handle}"))


def _wait_for(keeper: int) -> int:
    """The exit code of the first process; what tells the guardian to end is passed on to it."""
    while True:
        received = signal.sigtimedwait(_SIGNALS, 1.0)
        if received is not None and received.si_signo != signal.SIGCHLD:
            processes.kill([keeper], signal.SIGTERM)
        ended = processes.reap()
        if ended is None:
            return 1
        if keeper in ended:
            return ended[keeper]


def _mourn(workspace: Workspace, status: int) -> None:
    """Say that the cluster broke, and keep that message until somebody reacts or the deadline comes."""
    reason = workspace.last_line("guardian.log") or status
    detail = f"The process that holds the cluster ended by itself ({reason}); nothing of it runs any more."
    workspace.write_json("state.json", {"phase": "lost", "detail": detail})
    while workspace.read("spec.json") is not None and workspace.read("stop") is None:
        received = signal.sigtimedwait(_SIGNALS, 0.5)
        deadline = workspace.deadline()
        if received is not None or deadline is None or deadline <= datetime.now(UTC):
            return


def _remove(folder: Path) -> None:
    """Remove everything; who guards it goes last, so that nobody takes the rest for a ruin."""
    for path in folder.iterdir():
        if path.name in _LAST_FILES:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for _ in range(_REMOVALS - 1):
        try:
            shutil.rmtree(folder)
            return
        except OSError:
            # A look from outside may just have left its note there.
            continue
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
