"""`python -m tests.trust.sim --seeds N [--first S] [--hours H]`: run seeds and print what they showed as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from tests.trust.sim.report import summary


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument(
        "--hours", type=int, default=None, help="simulated hours of each seed; else by the seed"
    )
    options = parser.parse_args()
    told = summary(range(options.first, options.first + options.seeds), options.hours)
    print(json.dumps(told, indent=2))
    return 1 if told["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
