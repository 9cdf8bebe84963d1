"""`python -m tests.trust.sim --seeds N [--first S]`: run seeds and print what they showed as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.trust.sim.crew import run, share
from tests.trust.sim.points import aimed, not_hit
from tests.trust.sim.report import Report
from tests.trust.sim.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--aimed", type=int, default=0, help="so many more seeds try fates not met yet")
    parser.add_argument("--aim", nargs=2, action="append", metavar=("POINT", "FATE"), default=[])
    parser.add_argument("--hours", type=float, help="simulated hours of each seed; else by the seed")
    options = parser.parse_args()
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
