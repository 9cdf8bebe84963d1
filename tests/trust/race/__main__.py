"""`python -m tests.trust.race --keep FILE [--minutes M]`: run rounds of the race that the file lacks, one by one."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.trust.race.portions import missing, put, run_portion


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.race", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--keep", type=Path, help="add the rounds that are run to the portions of this file")
    what.add_argument("--sum", type=Path, help="run nothing: put the sum of this file's portions on the page")
    parser.add_argument("--minutes", type=float, default=60, help="begin no round later than this")
    parser.add_argument("--page", type=Path, default=Path("trust.md"))
    options = parser.parse_args()
    if options.sum:
        return 0 if put(options.sum, options.page).ok else 1
    ends, faults = time.monotonic() + 60 * options.minutes, 0
    for kind, number in missing(options.keep):
        if time.monotonic() > ends:
            break
        portion = run_portion(options.keep, kind, number)
        faults += len(portion.faults)
        attempts = portion.tally["attempts"]
        print(f"{kind}, round {number}: {attempts:,} attempts, {portion.seconds:.0f} s", flush=True)
        print("\n".join(portion.faults), end="", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
