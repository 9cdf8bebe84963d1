"""The files in which the processes of one service count.

The library maps a file whose blocks the disk has not given yet. On a full disk the first count then kills the
process (SIGBUS), and nothing that is measured may cost what it measures.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

FILE_BYTES = 2**20
"""What a file takes at once; what one process counts on one kind of metric takes a part of it."""


class Counts(MmapedDict):
    """A file of counts whose blocks are there before it is mapped; without room the counts stay in memory."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        kept = read_mode or has_room(filename)
        where = filename if kept else f"/proc/self/fd/{os.memfd_create('counts')}"
        super().__init__(where, read_mode)  # type: ignore[no-untyped-call]


def has_room(filename: str) -> bool:
    """Take the blocks of a file; whether the disk had them."""
    try:
        with Path(filename).open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
    except OSError:
        return False
    return True


def use_held_files() -> None:
    """Let the library make its files so; called before anything is counted."""
    values.MmapedDict = Counts  # type: ignore[attr-defined]
