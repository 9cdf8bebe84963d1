"""The folder of one cluster: what lies where, and how it is written so that nobody reads half a file.

The folder itself is for the service and the guardian; only what is under `inside` is shown to the user:

* `spec.json`, `launch.json`, `token`, `deadline`, `stop`: written by the service;
* `guardian.json`, `state.json`, `logs/`: written by the guardian;
* `inside/work` (the user's home), `inside/tmp`, `inside/conf`, `inside/jupyter`, `inside/spool`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from booking.adapters.base import ClusterSpec
from booking.adapters.local.processes import Identity

LOG_BYTES = 16 * 1024 * 1024
"""Users can make the notebook server and the workers write: their logs must not fill the disk."""
_PARTS_INSIDE = ("work", "tmp", "conf", "jupyter", "spool")


class Inside:
    """The paths that the user's processes see; they are the same on both sides of a namespace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work, self.tmp, self.conf, self.jupyter, self.spool = (root / name for name in _PARTS_INSIDE)

    def make(self) -> None:
        for name in _PARTS_INSIDE:
            (self.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)


class Workspace:
    """Reads and writes the files of the folder; every write replaces the whole file, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"

    def exists(self) -> bool:
        return self.folder.is_dir()

    def inside(self) -> Inside:
        return Inside(self.folder / "inside")

    def write(self, name: str, text: str) -> None:
        write_file(self.folder / name, text)

    def last_line(self, log: str) -> str:
        """The end of what a program wrote last, at most 200 characters; nothing if it wrote nothing."""
        try:
            with (self.logs / log).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 4096))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return (text.strip().splitlines() or [""])[-1].strip()[:200]

    def trim_logs(self) -> None:
        """Empty what has grown beyond :data:`LOG_BYTES`; the writers append, so that they go on from the start."""
        for log in self.logs.iterdir():
            if log.stat().st_size > LOG_BYTES:
                os.truncate(log, 0)

    def read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        self.write(name, json.dumps(values))

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The values of that file, or nothing where it is missing or not ours."""
        text = self.read(name)
        try:
            values = json.loads(text) if text else None
        except ValueError:
            return None
        return values if isinstance(values, dict) else None

    def spec(self) -> ClusterSpec | None:
        values = self.read_json("spec.json")
        return None if values is None else ClusterSpec.from_json(values)

    def deadline(self) -> datetime | None:
        """When the cluster ends by itself; nothing where the file is missing or not ours."""
        try:
            return datetime.fromisoformat(self.read("deadline") or "")
        except ValueError:
            return None

    def set_deadline(self, ends_at: datetime) -> None:
        self.write("deadline", ends_at.isoformat())

    def guardian(self) -> Identity | None:
        """Who said it guards this cluster; it may be gone since."""
        try:
            return Identity(**(self.read_json("guardian.json") or {}))
        except TypeError:
            return None

    def set_guardian(self, guardian: Identity) -> None:
        self.write_json("guardian.json", vars(guardian))


def write_file(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file as a whole: a reader sees the old or the new text.

    :raises OSError: if the folder is gone or not ours.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    # Some folders belong to users, who might have put a link in the way.
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    fresh.replace(path)
