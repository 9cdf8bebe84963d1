"""Kill sweeps as a proof: every act dies at every write, sync and answer, and is asked for again."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from booking.doors import SystemClock
from tests.support.doors import TestClock
from tests.support.postgres import database
from tests.trust.kills import ticks
from tests.trust.kills.acts import ACTS
from tests.trust.kills.place import Place, place
from tests.trust.kills.postgres import DurableServer
from tests.trust.kills.server import Web
from tests.trust.kills.sweep import Swept, sweep, the_app, the_backend, the_postmaster
from tests.trust.proof import Finding, Scale

PROMISE = (
    "Whoever is killed at whatever write, sync or message: what was answered is kept, "
    "what is asked for again under its key happens once, and no cluster is left for what is not booked."
)


@dataclass(frozen=True)
class Plan:
    """Every how many points are tried; 0 tries none."""

    web: int
    scheduler: int
    verified: int = 5
    """All of the database is verified after every so many points."""
    app: int = 0
    """From here on PostgreSQL: the web process, the backend, the postmaster, the scheduler and its backend."""
    backend: int = 0
    postmaster: int = 0
    ticker: int = 0
    ticker_backend: int = 0


PLANS = {
    Scale.QUICK: Plan(web=12, scheduler=30),
    Scale.SHORT: Plan(1, 4, app=3, backend=10, postmaster=14, ticker=10, ticker_backend=40),
    Scale.FULL: Plan(1, 1, verified=1, app=1, backend=1, postmaster=1, ticker=1, ticker_backend=1),
}


def prove(scale: Scale, seed: int) -> Finding:
    """Nothing is drawn: the points are counted, so the seed changes nothing."""
    logging.getLogger("booking").addHandler(logging.NullHandler())
    finding, plan = Finding(), PLANS[scale]
    with tempfile.TemporaryDirectory(prefix="booking-kills-", ignore_cleanup_errors=True) as folder:
        _on_sqlite(finding, plan, Path(folder))
        if plan.app:
            _on_postgres(finding, plan, Path(folder))
        _control(finding, Path(folder))
    finding.remarks.append(
        "Book, cancel and extend are asked of the web server of the product, over HTTP; only that its application "
        "is loaded before its process forks. Start and end are five ticks of the scheduler, in a process forked "
        "for each point, with imagined clusters on disk and a clock of its own. A point is one call of the kernel "
        "that writes, syncs, renames, removes or sends; the process dies as it enters it."
    )
    if scale is not Scale.FULL:
        finding.remarks.append(
            f"Shortened: every {plan.scheduler}th point of the scheduler"
            + (f", every {plan.app}th of the web process on PostgreSQL, " if plan.app else "; SQLite only")
            + (
                f"every {plan.backend}th of its backend, every {plan.postmaster}th before "
                if plan.app
                else ""
            )
            + ("which all of PostgreSQL was killed." if plan.app else f", every {plan.web}th of the web.")
        )
    return finding


def _on_sqlite(finding: Finding, plan: Plan, folder: Path) -> None:
    for name, make in ACTS.items():
        with _web(folder / name, f"sqlite:///{folder / name}.sqlite") as (here, web):
            _tell(
                finding,
                f"SQLite, web process, {name}",
                sweep(here, web, make, the_app(here, web), plan.web, plan.verified),
            )
    clock = TestClock()
    with place(folder / "ticks", f"sqlite:///{folder}/ticks.sqlite", clock) as here:
        found = ticks.sweep(ticks.scene_of(here, clock), plan.scheduler, plan.verified)
        for name, seen in found.items():
            _tell(finding, f"SQLite, scheduler, {name}", seen)


def _on_postgres(finding: Finding, plan: Plan, folder: Path) -> None:
    with DurableServer() as server:
        for name, make in ACTS.items():
            with _fresh(server, f"web_{name}") as url, _web(folder / f"pg-{name}", url) as (here, web):
                victims = (
                    (the_app(here, web), plan.app),
                    (the_backend(here, web, server), plan.backend),
                    (the_postmaster(here, web, server), plan.postmaster),
                )
                for victim, stride in victims:
                    seen = sweep(here, web, make, victim, stride, plan.verified)
                    _tell(finding, f"PostgreSQL, {victim.name}, {name}", seen)
        for number, (stride, struck) in enumerate(((plan.ticker, None), (plan.ticker_backend, server))):
            clock = TestClock()
            with _fresh(server, f"ticks_{number}") as url, place(folder / f"pg-{number}", url, clock) as here:
                scene = ticks.scene_of(here, clock, struck)
                for name, seen in ticks.sweep(scene, stride, plan.verified).items():
                    _tell(finding, f"PostgreSQL, {scene.victim}, {name}", seen)


def _control(finding: Finding, folder: Path) -> None:
    """With a planted bug, an answer before the commit, the same sweep must lose what it was answered."""
    with _web(folder / "hasty", f"sqlite:///{folder}/hasty.sqlite", app="hasty") as (here, web):
        for stride in (10, 3, 1):  # the few points that lose something may lie between the chosen ones
            seen = sweep(here, web, ACTS["book"], the_app(here, web), stride)
            if seen.lost:
                break
    finding.show("control, answered before the commit: lost", seen.lost, "more than 0", seen.lost > 0)


@contextmanager
def _web(home: Path, url: str, app: str = "warm") -> Iterator[tuple[Place, Web]]:
    with ExitStack() as stack:
        here = stack.enter_context(place(home, url, SystemClock()))
        yield here, stack.enter_context(Web(home, url, here.token, app=app))


@contextmanager
def _fresh(server: DurableServer, name: str) -> Iterator[str]:
    with database(server.url, name) as url:
        yield url.render_as_string(hide_password=False)


def _tell(finding: Finding, where: str, seen: Swept) -> None:
    kinds = ", ".join(f"{number} {kind}" for kind, number in seen.kinds.most_common())
    finding.show(f"{where}: points", seen.points, f"more than 0 ({kinds})", seen.points > 0)
    finding.zero(f"{where}: lost", seen.lost)
    finding.zero(f"{where}: doubles", seen.doubles)
    finding.faults += seen.faults
