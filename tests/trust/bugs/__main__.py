"""`python -m tests.trust.bugs [--only NAME] --max-seeds 300`: is every planted bug caught, where, by what?"""

from __future__ import annotations

import argparse
import sys
import time

from tests.trust.bugs.garden import BUGS
from tests.trust.bugs.planting import hunt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.bugs", description=__doc__)
    parser.add_argument("--only", default="", help="bugs whose name holds this")
    parser.add_argument("--max-seeds", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    missed = []
    for name in BUGS:
        if options.only not in name:
            continue
        began = time.process_time()
        catch = hunt(name, options.max_seeds, options.first)
        took = f"{time.process_time() - began:.0f} s"
        if catch.violation is None:
            missed.append(name)
            print(f"NOT CAUGHT  {name} in {options.max_seeds} seeds ({took})", flush=True)
        else:
            print(f"seed {catch.seed:3}  {name}: {catch.violation.invariant} ({took})", flush=True)
    print(f"{len(missed)} not caught: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
