"""Making and destroying the folder and the processes of one cluster; the caller holds the lock."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from booking.adapters.base import ClusterSpec, ProvisionerError
from booking.adapters.local import processes
from booking.adapters.local.containment import Containment
from booking.adapters.local.engine import Engine
from booking.adapters.local.looking import guardians
from booking.adapters.local.parts import SOURCE, inherited_environment
from booking.adapters.local.workspace import Workspace

_LAUNCH_SECONDS = 30.0
_KILL_SECONDS = 10.0
_STEP_SECONDS = 0.05


def make(workspace: Workspace, spec: ClusterSpec, engine: Engine, launch: Mapping[str, Any]) -> None:
    """Make the folder and start its guardian; answers when the guardian stands, not when all is ready.

    :raises OSError: if the folder cannot be made.
    :raises ProvisionerError: if the guardian does not start.
    """
    workspace.folder.mkdir(mode=0o700)
    inside = workspace.inside()
    inside.make()
    engine.prepare(inside)
    workspace.write("token", secrets.token_urlsafe(32))
    workspace.write_json("launch.json", launch)
    workspace.set_deadline(spec.ends_at)
    workspace.write_json("spec.json", spec.as_json())
    _run("booking.adapters.local.guardian", str(workspace.folder), mark=processes.mark_of(inside.root))


def destroy(workspace: Workspace) -> None:
    """Kill whatever is left of a cluster and remove its folder; nothing happens where there is none.

    :raises ProvisionerError: if something does not end.
    """
    until = time.monotonic() + _KILL_SECONDS
    while True:
        standing = guardians(workspace)
        for guardian in standing:
            guardian.send(signal.SIGKILL)
        # Namespaces end with their guardian; without them its orphans must be found one by one.
        rest = processes.belonging_to(workspace.inside().root)
        if not standing:
            processes.kill(rest, signal.SIGKILL)
            if not rest:
                break
        if time.monotonic() > until:
            raise ProvisionerError("Processes of the cluster do not end.")
        time.sleep(_STEP_SECONDS)
    try:
        shutil.rmtree(workspace.folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ProvisionerError(f"The folder of the cluster cannot be removed: {error}") from error


def strongest_containment() -> Containment:
    """The strongest containment that works on this machine, found out by trying.

    :raises ProvisionerError: if not even the trial can be started.
    """
    return Containment(_run("booking.adapters.local.containment").strip())


def _run(module: str, *arguments: str, mark: Mapping[str, str] | None = None) -> str:
    """Run a module of ours apart from the service, and without what only the service may know."""
    environment = inherited_environment(os.environ) | {"PYTHONPATH": str(SOURCE)} | dict(mark or {})
    try:
        finished = subprocess.run(
            (sys.executable, "-P", "-m", module, *arguments),
            env=environment,
            cwd=Path("/"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LAUNCH_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().rpartition("\n")[2]
        raise ProvisionerError(f"{module} could not be started: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProvisionerError(f"{module} could not be started: {error}") from error
    return finished.stdout
