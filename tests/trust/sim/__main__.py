"""`python -m tests.trust.sim --seeds N [--first S]`: run seeds and print what they showed as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from tests.trust.sim.crew import run, share
from tests.trust.sim.points import aimed, not_hit
from tests.trust.sim.portions import put, run_portion
from tests.trust.sim.report import Report
from tests.trust.sim.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--aimed", type=int, default=0, help="so many more seeds try fates not met yet")
    parser.add_argument("--aim", nargs=2, action="append", metavar=("POINT", "FATE"), default=[])
    parser.add_argument("--hours", type=float, help="simulated hours of each seed; else by the seed")
    parser.add_argument("--keep", type=Path, help="add what is run to the portions of this file")
    parser.add_argument(
        "--sum", type=Path, help="run nothing: put the sum of this file's portions on the page"
    )
    parser.add_argument("--page", type=Path, default=Path("trust.md"))
    options = parser.parse_args()
    if options.sum:
        return 0 if put(options.sum, options.page).ok else 1
    if options.keep:
        portion = run_portion(options.keep, options.first, options.seeds, options.aimed)
        print(
            f"{portion.seeds} seeds, {portion.aimed} aimed, {portion.seconds:.0f} s: {portion.violations or 'ok'}"
        )
        return 1 if portion.violations else 0
    began, report = time.monotonic(), Report()
    last = options.first + options.seeds
    aims = tuple((point, fate) for point, fate in options.aim)
    if aims or options.hours or options.seeds < 2:
        report.add(simulate(seed, options.hours, aims) for seed in range(options.first, last))
    else:
        report.add(share(run, [(seed, ()) for seed in range(options.first, last)]))
        report.add(share(run, aimed(not_hit(report.points), range(last, last + options.aimed))))
    told = report.as_json() | {"seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(told, indent=2))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
