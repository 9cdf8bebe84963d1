"""Runs one program of OpenStack: `launch.py script NAME ARGUMENT...` or `launch.py wsgi MODULE PORT ARGUMENT...`.

The scripts parse `sys.argv`, also when they are loaded by a web server, whose own arguments they would
stumble over. What forks workers has them end together with it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import runpy
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
THREADS = 8


def main() -> None:
    kind, name, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        os.register_at_fork(after_in_child=_end_with_parent)
    if kind == "wsgi":
        _serve(name, int(arguments[0]), arguments[1:])
    else:
        script = Path(sys.executable).with_name(name)
        sys.argv = [str(script), *arguments]
        runpy.run_path(str(script), run_name="__main__")


def _serve(module: str, port: int, arguments: list[str]) -> None:
    sys.argv = [module, *arguments]
    # First the service, which replaces parts of the standard library before anything else may hold them.
    application = importlib.import_module(module).application
    waitress = importlib.import_module("waitress")
    waitress.serve(application, host="127.0.0.1", port=port, threads=THREADS, ident=None)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


main()
