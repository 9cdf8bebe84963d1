"""`python -m tests.trust.bugs [--only NAME] [--max-seeds 300]`: is every planted bug caught, where, by what?"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial

from tests.trust.bugs.garden import BUGS
from tests.trust.bugs.hunting import Catch, hunt
from tests.trust.bugs.proof import MOST_SEEDS, RECORD
from tests.trust.sim.crew import share


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.bugs", description=__doc__)
    parser.add_argument("--only", default="", help="bugs whose name holds this")
    parser.add_argument("--max-seeds", type=int, default=MOST_SEEDS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="write down at which seeds they were caught")
    options = parser.parse_args()
    names = [name for name in BUGS if options.only in name]
    act = partial(hunt, max_seeds=options.max_seeds, first=options.first)
    missed = []
    for catch in share(act, names):
        print(_line(catch), flush=True)
        if catch.violation is None:
            missed.append(catch.bug)
        elif options.record:
            _record(catch)
    print(f"{len(missed)} not caught: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def _line(catch: Catch) -> str:
    if catch.violation is None:
        return f"NOT CAUGHT  {catch.bug}"
    detail = catch.violation.detail.splitlines()[0]
    return f"seed {catch.seed:3}  {catch.bug}: {catch.violation.invariant}: {detail}"


def _record(catch: Catch) -> None:
    assert catch.violation is not None
    known = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    known[catch.bug] = {"seed": catch.seed, "by": catch.violation.invariant}
    kept = {name: known[name] for name in sorted(known) if name in BUGS}
    RECORD.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
