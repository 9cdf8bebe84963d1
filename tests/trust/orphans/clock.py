"""Time that every process of a trial reads from one file: the machine's own, put ahead by jumps.

Between two jumps it runs as ever, so that nothing that is measured in seconds is compressed.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_WIDTH = 24


class SteppedClock:
    """The clock door of a trial; the file stays the same one, because some readers see no other path."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_text(f"{0:{_WIDTH}.6f}")
        self._handle = os.open(path, os.O_RDWR)

    @property
    def later(self) -> timedelta:
        """How far it is ahead of the machine's."""
        return timedelta(seconds=float(os.pread(self._handle, _WIDTH, 0)))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def jump_to(self, moment: datetime) -> None:
        """Put it ahead; a moment that is past already changes nothing."""
        later = max(self.later, moment - datetime.now(UTC))
        os.pwrite(self._handle, f"{later.total_seconds():{_WIDTH}.6f}".encode(), 0)


def replace_the_librarys(clock: SteppedClock) -> None:
    """Let every later `from datetime import datetime` of this process get one that reads this clock."""

    class Stepped(datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + clock.later

    dt.datetime = Stepped  # type: ignore[misc]
