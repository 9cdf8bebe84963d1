"""The crash points: which fates each has met, and which seeds are sent to try the others."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from booking import services
from tests.trust.sim.hub import Aims, Fate

FAULTS = (Fate.KILL, Fate.STALL, Fate.LOST)
_UNANSWERED = ("beat", "sleep")
"""Points at which there is no answer that could be lost."""
_TRANSACTIONS = (
    *("book", "confirm", "change", "cancel", "expire holds", "capacity"),  # what people ask for
    *("lead", "work", "look", "note look", "live reservations"),  # what becomes of it
)
_CALLS = ("provision", "observe", "teardown", "inventory")
_PATH = ("answer", *(f"run:{name}:" for name in _TRANSACTIONS), *(f"{call}:" for call in _CALLS))
"""What a promise passes from its request to the end of its cluster."""
_EACH = 8
"""How many fates one seed is sent to try; more would only trip over one another."""


def not_hit(points: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each crash point with a fate that it has not met."""
    return [
        (name, fate)
        for name in sorted({name for name, _ in points})
        for fate in FAULTS
        if not points[name, fate] and not (fate is Fate.LOST and name in _UNANSWERED)
    ]


def on_the_path(name: str) -> bool:
    """Whether a promise may pass that point."""
    return name.startswith(_PATH)


def share_hit(points: Counter[tuple[str, str]]) -> float:
    """How many hundredths of all points with all fates have been met."""
    names = {name for name, _ in points}
    all_ = sum(2 if name in _UNANSWERED else 3 for name in names)
    return 100 * (1 - len(not_hit(points)) / all_) if all_ else 0.0


def aimed(missing: list[tuple[str, str]], seeds: range) -> list[tuple[int, Aims]]:
    """Jobs that try what is missing, the path of a promise first; each is tried by several seeds."""
    wanted = sorted(missing, key=lambda aim: (not on_the_path(aim[0]), aim))
    jobs: list[tuple[int, Aims]] = []
    step = _EACH if len(wanted) > _EACH else 1
    for number, seed in enumerate(seeds if wanted else ()):
        turned = number // 2 * step % len(wanted)  # odd and even seeds pass different points
        chosen = dict(reversed((wanted[turned:] + wanted[:turned])[:_EACH]))
        jobs.append((seed, tuple(sorted(chosen.items()))))
    return jobs


def transactions() -> set[str]:
    """The names of all transactions of the services, read off their source."""
    folder = Path(services.__file__).parent
    return {name for path in folder.glob("*.py") for name in _named(ast.parse(path.read_text()))}


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in ("run", "read", "rehearse", "reading"):
            yield from (
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            )
