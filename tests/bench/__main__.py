"""`python -m tests.bench`: how fast the product is, beside its rivals and the floors of this machine.

JSON lines on stdout, the tables on stderr; with --page they go into that page too, and the plot beside it.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import ours
from tests.bench.field import are_installed
from tests.bench.goals import SHORT
from tests.bench.page import page, put_in
from tests.bench.plot import plot
from tests.bench.suite import Found, Plan, run

PLOT = Path("images") / "calendar-speed.svg"


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas or spaces between them, ascending."""
    return tuple(sorted(int(float(word)) for word in text.replace(",", " ").split()))


def planned(arguments: Sequence[str] | None) -> tuple[Plan, Path | None]:
    """What the command line asks for, and the page that it shall go into."""
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--n", type=numbers, default=usual.sizes, help="numbers of reservations")
    parser.add_argument("--pools", type=numbers, default=usual.pools, help="numbers of pools")
    parser.add_argument(
        "--seed", type=int, default=None, help="of everything drawn; else it is drawn, and said"
    )
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument(
        "--only", nargs="+", choices=usual.parts, default=usual.parts, help="some parts alone"
    )
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of each round of writes")
    parser.add_argument("--blazar", type=int, default=usual.blazar, help="the most reservations for Blazar")
    parser.add_argument("--quick", action="store_true", help="a minute: shows that it works, not how fast")
    parser.add_argument("--page", type=Path, help="a Markdown page with a place for the tables")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    plan = Plan(
        sizes=options.n,
        pools=options.pools,
        seed=seed,
        rounds=options.rounds,
        parts=tuple(options.only),
        seconds=options.seconds,
        blazar=options.blazar,
    )
    return plan.quick() if options.quick else plan, options.page


def drawing(found: Found) -> str | None:
    """The calendar against the number of reservations; None if that was not measured."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for case in found.cases:
        if case.what == ours.CALENDAR and case.rounds and case.pools == 1 and not case.note:
            name = case.design + (f", {SHORT[case.database]}" if case.database else "")
            lines.setdefault(name, []).append((case.n, case.middle))
    ordered = {name: sorted(dict(points).items()) for name, points in lines.items()}
    title = f"{ours.CALENDAR}: median time of an answer"
    return plot(title, "reservations (N)", ordered) if ordered else None


def main(arguments: Sequence[str] | None = None) -> int:
    plan, target = planned(arguments)
    print(f"seed {plan.seed}", file=sys.stderr, flush=True)
    if not are_installed():
        print("the libraries and Blazar are not installed: `make bench` does that", file=sys.stderr)
    found = run(plan)
    for line in found.lines():
        print(json.dumps(line), flush=True)
    measured = page(found)
    print(measured, file=sys.stderr)
    if target is not None:
        target.write_text(put_in(target.read_text(encoding="utf-8"), measured), encoding="utf-8")
        if drawn := drawing(found):
            (target.parent / PLOT).write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    # Whoever ends it finds nothing left: the server, the rivals and the folder go with it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    sys.exit(main())
