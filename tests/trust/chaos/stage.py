"""A whole installation on a real PostgreSQL: web processes, schedulers, and imagined clusters in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import URL

from booking import migrate
from booking.adapters.local import processes
from booking.config import Settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.services import setup, tokens
from booking.services.context import Context
from tests.e2e.service import Running, Service
from tests.support.site import Site

TERM_SECONDS = 2.0
"""How long a scheduler leads without renewing."""
SCOPES = ("availability:read", "bookings:read", "bookings:write")


@dataclass
class Stage:
    """The installation, and the same database seen by the one who judges it."""

    site: Site
    folder: Path
    service: Service
    token: str
    url: str
    """Where its API begins."""
    schedulers: list[Running] = field(default_factory=list)
    """Every scheduler that was ever started."""

    def start_scheduler(self) -> Running:
        one = Running(self.service.folder, "scheduler", settings=self.service.settings)
        self.schedulers.append(one)
        return one

    def web(self) -> list[int]:
        """The web server and its processes, the server first; empty while it starts."""
        return self.service.parts()[1:]

    def close(self) -> None:
        for one in (*self.schedulers, self.service):
            one.close()


def seen(url: str, home: Path) -> Site:
    """A database as another process sees it: connections and a cache of its own."""
    engine, clock = open_engine(url), SystemClock()
    return Site(Context(Doors(clock, SystemIds(), Db(engine, clock)), Settings(home=home, database_url=url)))


def prepared(site: Site, cores: int) -> str:
    """Tables, a pool, two packages and somebody without limits; the token of that one."""
    migrate.upgrade(site.ctx.db.engine)
    site.pool(cores=cores, memory_mib=1024 * cores)
    site.package("pair", 2)
    site.person("crowd", admin=True)
    setup.bare(site.ctx)
    return tokens.make(site.ctx, None, "crowd", SCOPES).secret


@contextmanager
def stage(
    database: URL,
    *,
    served: URL | None = None,
    cores: int,
    workers: int = 3,
    more: Mapping[str, str] | None = None,
) -> Iterator[Stage]:
    """An installation without a scheduler yet; `served` is the address that the service itself is given."""
    with TemporaryDirectory(prefix="booking-chaos-") as name:
        folder = Path(name)
        url = database.render_as_string(hide_password=False)
        site = seen(url, folder / "home")
        token = prepared(site, cores)
        settings = {
            "BOOKING_PROVISIONER": "null",
            "BOOKING_DATABASE_URL": (served or database).render_as_string(hide_password=False),
            "BOOKING_WORKERS": str(workers),
            "BOOKING_TICK_SECONDS": "0.3",
            "BOOKING_LEADERSHIP_SECONDS": str(TERM_SECONDS),
            "BOOKING_RECONCILE_SECONDS": "5",
        }
        service = Service(folder, "--no-scheduler", settings=settings | dict(more or {}), token=token)
        made = Stage(site, folder, service, token, f"{service.url}api/v1")
        try:
            yield made
        finally:
            made.close()
            site.ctx.db.engine.dispose()


def left_running(folder: Path) -> list[int]:
    """Living processes that were started for an installation in this folder."""
    found = []
    for pid, process in processes.table().items():
        try:
            mine = str(folder).encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if mine and process.state not in "ZX":
            found.append(pid)
    return found
