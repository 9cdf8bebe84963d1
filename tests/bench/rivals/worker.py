"""The rivals' process, in an environment of its own: reads one order a line, answers each with one line.

It draws the same bookings from the same seed, so that nothing but questions and answers passes the pipe.
"""

from __future__ import annotations

import importlib
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from tests.bench.measure import timed
from tests.bench.rivals import blazar, indico, libraries
from tests.bench.workload import Window, Workload


class Rival(Protocol):
    """Somebody else's way to answer."""

    def calendar(self) -> list[list[int]]: ...

    def can_i(self, window: Window) -> int: ...


def made(name: str, workload: Workload, most: int, folder: Path) -> Rival:
    """A rival that knows the first `most` reservations."""
    if name == "blazar":
        return blazar.Blazar(workload, most, folder)
    if name == "indico":
        return indico.Indico(workload, most, folder)
    return libraries.KNOWN[name](workload, most)


def main() -> int:
    n, seed, today, folder = sys.argv[1:]
    workload = Workload(int(n), int(seed), date.fromisoformat(today))
    rivals: dict[str, Rival] = {}
    for name in libraries.KNOWN:
        importlib.import_module(name)  # so that it is not timed

    def made_ready(order: dict[str, Any]) -> list[float]:
        def make() -> None:
            rivals[order["rival"]] = made(order["rival"], workload, order["most"], Path(folder))

        return timed(make)(1)

    def answered(order: dict[str, Any], calls: int = 0) -> Any:
        rival, what = rivals[order["rival"]], order["what"]
        if what == "calendar":
            return timed(rival.calendar)(calls) if calls else rival.calendar()
        window = workload.window
        return timed(lambda: rival.can_i(window))(calls) if calls else rival.can_i(window)

    for line in sys.stdin:
        order = json.loads(line)
        if order["act"] == "make":
            said = made_ready(order)
        elif order["act"] == "answer":
            said = answered(order)
        else:
            said = answered(order, order["calls"])
        print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
