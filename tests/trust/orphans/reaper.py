"""Ends what a trial has started, also when the trial itself is killed: `python -m tests.trust.orphans.reaper FOLDER`.

It waits for the end of its input, which comes with the end of whoever started it.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from booking.adapters.local import processes
from booking.adapters.local.parts import SOURCE

_SECONDS = 10.0


@contextmanager
def reaped(folder: Path) -> Iterator[None]:
    """Whatever happens within, no process that speaks of the folder outlives it."""
    words = [sys.executable, "-m", "tests.trust.orphans.reaper", str(folder)]
    with subprocess.Popen(words, cwd=SOURCE, stdin=subprocess.PIPE, start_new_session=True):
        yield


def belonging(folder: Path) -> set[int]:
    """The processes whose environment or words name the folder or what is in it."""
    mark = f"{folder}/".encode()
    found = set()
    for pid in processes.table():
        try:
            texts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline")]
        except OSError:
            continue
        if any(mark in text for text in texts):
            found.add(pid)
    return found


def main(folder: Path) -> None:
    sys.stdin.read()
    until = time.monotonic() + _SECONDS
    while (left := belonging(folder)) and time.monotonic() < until:
        processes.kill(left, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
