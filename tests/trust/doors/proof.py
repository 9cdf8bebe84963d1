"""Doors locked: who may do what, the known classes of weakness, hostile texts, secrets, generated calls."""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.security.access_classes import CLASSES as OF_ACCESS
from tests.security.canaries import inside, outside
from tests.security.door_classes import CLASSES as OF_DOORS
from tests.security.eyes import look
from tests.security.hostile import COVERED, pages, plant
from tests.security.matrix import callers, leading, routes, walk
from tests.security.payloads import PAYLOADS, packs
from tests.security.table import TABLE, Role
from tests.security.world import World, open_world
from tests.support.browser import chromium
from tests.trust.doors.fuzz import ROLES, Fuzzed, fuzz
from tests.trust.proof import Finding, Scale

PROMISE = (
    "Nobody does or sees what is not theirs, whatever they come with; no text that somebody typed runs in a "
    "browser; no secret is told; and no request brings the service down."
)
CLASSES = sorted((*OF_ACCESS, *OF_DOORS), key=lambda weakness: weakness.number)
LEAST_FUZZED = 50_000
_LONGEST = 3 * 3600.0
_AT_ONCE = 2
"""So many roles call at the same time, each an application of its own."""


@dataclass(frozen=True)
class Size:
    """How much of each part."""

    of: tuple[Role, ...]
    """The roles of the matrix."""
    people: int
    """Of the leading callers of the matrix, who ask every route."""
    share: float
    """Of the routes, how many each of the others asks."""
    classes: int
    texts: int
    """One of how many hostile texts."""
    details: int
    """How many pages of single bookings, and of echoes, the browser looks at; 0 is no browser at all."""
    examples: int
    """Of schemathesis, for each operation; 0 is none. Each is some 75 requests, and what is always asked 3,700."""
    roles: tuple[str, ...] = tuple(ROLES)


SIZES = {
    Scale.QUICK: Size(
        of=(Role.OWNER, Role.ADMIN, Role.OTHER),
        people=2,
        share=0.02,
        classes=3,
        texts=30,
        details=0,
        examples=0,
    ),
    Scale.SHORT: Size(
        of=tuple(Role), people=6, share=0.1, classes=21, texts=1, details=2, examples=1, roles=("user",)
    ),
    Scale.FULL: Size(
        of=tuple(Role), people=6, share=1.0, classes=21, texts=1, details=len(packs()), examples=800
    ),
}


@contextmanager
def _fresh() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, open_world(Path(folder)) as world:
        yield world


def prove(scale: Scale, seed: int) -> Finding:
    """Every part in turn, the generated calls beside them."""
    size, finding = SIZES[scale], Finding()
    # What the planted flaws break is logged, as it should be; here it would only be noise.
    logging.getLogger("booking").addHandler(logging.NullHandler())
    with ProcessPoolExecutor(_AT_ONCE) as beside:
        calls = [
            beside.submit(fuzz, role, size.examples, seed + 1, _LONGEST)
            for role in size.roles
            if size.examples
        ]
        _matrix(size, seed, finding)
        _classes(size, seed, finding)
        _texts(size, finding)
        _canaries(scale, finding)
        _fuzzed(scale, calls, finding)
    return finding


def _matrix(size: Size, seed: int, finding: Finding) -> None:
    with _fresh() as world:
        everybody = callers(world, size.of)
        chosen = leading(everybody)[: size.people]
        whole = walk(world, chosen, 1.0, seed)
        rest = walk(world, [one for one in everybody if one not in chosen], size.share, seed)
        finding.show("routes and methods", len(routes(world.app)))
        finding.zero("of them without a row in the table", len(routes(world.app) ^ set(TABLE)))
    roles = {one.role for one in everybody} - {None}
    finding.show("roles × kinds of credential", f"{len(roles)} × {len({one.kind for one in everybody})}")
    finding.show("callers (a role with one credential and its rights)", len(everybody))
    finding.show("requests of the access matrix", whole.asked + rest.asked)
    faults = [*whole.faults, *rest.faults]
    finding.zero("answered otherwise than the table says", len(faults))
    finding.zero("changes that the journal does not know", len(whole.unwritten) + len(rest.unwritten))
    finding.faults += faults[:5]
    if size.share < 1:
        finding.remarks.append(
            f"Of {len(everybody)} callers {len(chosen)} asked every route, the others {size.share:.0%} of them."
        )


def _classes(size: Size, seed: int, finding: Finding) -> None:
    chosen = random.Random(seed).sample(CLASSES, size.classes)
    controls, open_ = 0, 0
    with _fresh() as world:
        world.keep("start")
        for weakness in chosen:
            through = weakness.probe(world)
            world.put_back("start")
            open_ += bool(through)
            finding.faults += [f"{weakness}: {entry}" for entry in through[:3]]
            with weakness.flaw(world):
                controls += bool(weakness.probe(world))
            world.put_back("start")
    without = [str(weakness.number) for weakness in CLASSES if not weakness.surface]
    finding.zero("classes of weakness that are open", open_)
    finding.show(
        "of them tried, with a planted flaw that was seen",
        controls,
        str(len(chosen)),
        controls == len(chosen),
    )
    finding.remarks.append(
        f"Classes {', '.join(without)} are about what the product does not have; there the proof is that no route has it."
    )


def _texts(size: Size, finding: Finding) -> None:
    with _fresh() as world:
        planted = plant(world, size.texts)
        tried = len(PAYLOADS[:: size.texts])
        finding.show("hostile texts × text fields of the API", f"{tried} × {len(COVERED)}")
        finding.show("requests that carried them", planted.tried)
        finding.zero("of them answered with 5xx", len(planted.faults))
        if not size.details:
            finding.remarks.append("No browser looked at them here.")
            return
        with chromium() as browser:
            seen = look(world, browser, pages(world, planted, size.details), packs())
            world.app.jinja_env.autoescape = False
            assert world.app.jinja_env.cache is not None
            world.app.jinja_env.cache.clear()
            control = look(world, browser, {"ada": [f"/bookings/{planted.bookings[0]}"]}, [])
    finding.show("pages and sent forms that a browser looked at", seen.pages)
    finding.zero("scripts that ran", len(seen.ran))
    finding.zero("violations of the policy of content", len(seen.stopped))
    finding.zero("elements that a text brought into a page", len(seen.strange))
    found = len(control.stopped) + len(control.strange)
    finding.show("the same on one page without escaping (the control)", found, "more than 0", found > 0)
    finding.faults += [*seen.ran[:3], *seen.stopped[:3], *seen.strange[:3], *seen.faults[:3]]


def _canaries(scale: Scale, finding: Finding) -> None:
    with _fresh() as world:
        hunts = [inside(world)]
    if scale is not Scale.QUICK:
        with tempfile.TemporaryDirectory() as folder:
            hunts.append(outside(Path(folder) / "service"))
    finding.show(
        "kinds of secret that were followed", len({kind for hunt in hunts for kind in hunt.canaries})
    )
    finding.show(
        "lines, answers, command lines and environments searched", sum(hunt.places for hunt in hunts)
    )
    leaks = [leak for hunt in hunts for leak in hunt.leaks]
    finding.zero("secrets found", len(leaks))
    finding.faults += leaks[:5]


def _fuzzed(scale: Scale, calls: list[Future[Fuzzed]], finding: Finding) -> None:
    for call in calls:
        done = call.result()
        least = LEAST_FUZZED if scale is Scale.FULL else 1
        name = f"generated requests as {done.role}"
        finding.show(name, done.requests, f"at least {least:,}", done.requests >= least)
        finding.zero(f"{name}: answers 5xx", done.broken)
        if done.breaches:
            finding.faults.append(f"{name}: {done.breaches}")
    if scale is not Scale.FULL:
        said = ", ".join(ROLES) if not calls else "one role"
        finding.remarks.append(
            f"Generated calls were {'left out' if not calls else 'shortened'} here ({said}); "
            f"at full length they are {LEAST_FUZZED:,} for each of {len(ROLES)} roles."
        )
