"""Several web servers and schedulers on one PostgreSQL, behind nginx."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from sqlalchemy import func, select

from booking.models import Booking
from booking.services import accounts
from tests.e2e.service import Running, Service
from tests.scaling.front import Front, front
from tests.support.site import Site
from tests.trust.chaos.stage import prepared, seen

PASSWORD = "correct horse battery"
_SECONDS = 30.0


class From(HTTPAdapter):
    """Connections that come from another address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **more)


@dataclass
class Farm:
    """All of it, and the same database as the judge sees it."""

    site: Site
    token: str
    webs: list[Service]
    schedulers: list[Running]
    front: Front

    def browser(self, address: str = "127.0.0.1") -> requests.Session:
        """A client with cookies of its own that calls from an address of this machine."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.front.certificate)
        session.mount("https://", From(address))
        return session

    def book(
        self, client: requests.Session, start: datetime, key: str, *, hours: int = 1
    ) -> requests.Response:
        """One booking, repeated with its key until it is answered: so every client may do it."""
        body = {
            "package": "pair",
            "sharing": "reserved",
            "spans": [{"start": start.isoformat(), "end": (start + timedelta(hours=hours)).isoformat()}],
        }
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        said = ""
        for _ in range(100):
            try:
                answer = client.post(
                    f"{self.front.url}api/v1/bookings", json=body, headers=headers, timeout=_SECONDS
                )
            except requests.ConnectionError as error:
                said = repr(error)
                continue
            said = f"{answer.status_code} {answer.text}"
            if answer.status_code not in (502, 503, 504):
                return answer
        raise AssertionError(f"{key} was never answered: {said}")

    def get(self, client: requests.Session, path: str) -> requests.Response:
        """A question with the token; nobody repeats it but nginx."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return client.get(f"{self.front.url}{path}", headers=headers, timeout=_SECONDS)

    def made(self) -> set[str]:
        """The ids of all bookings in the database."""
        return set(self.site.ctx.db.read("made", lambda session: session.scalars(select(Booking.id)).all()))

    def count(self) -> int:
        return int(
            self.site.ctx.db.read("count", lambda s: s.scalar(select(func.count()).select_from(Booking))) or 0
        )


def hour(offset: int) -> datetime:
    """The beginning of an hour from now on."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=offset)


def together(acts: list[Callable[[], None]]) -> None:
    """All at once; what one of them raises is raised here."""
    errors: list[BaseException] = []

    def guarded(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  # it is raised by the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def farm(
    url: str, folder: Path, *, cores: int, webs: int = 2, more: Mapping[str, str] | None = None
) -> Iterator[Farm]:
    """An installation for that many pairs at once, twice as many as `cores`."""
    site = seen(url, folder / "judge")
    settings = {
        "BOOKING_DATABASE_URL": url,
        "BOOKING_PROVISIONER": "null",
        "BOOKING_SECRET_KEY": "one key for all of them",
        "BOOKING_SECURE_COOKIES": "true",
        "BOOKING_PROXIES": "1",
        "BOOKING_WORKERS": "1",
        "BOOKING_THREADS": "4",
        "BOOKING_TICK_SECONDS": "0.2",
        "BOOKING_LEADERSHIP_SECONDS": "2",
        "BOOKING_LOGIN_LIMIT": "4 per 5 minutes",
    } | dict(more or {})
    with ExitStack() as stack:
        stack.callback(site.ctx.db.engine.dispose)
        token = prepared(site, cores)
        accounts.create(site.ctx, None, accounts.NewAccount("ann", PASSWORD, 2))
        serving = []
        for number in range(webs):
            serving.append(Service(folder / f"web{number}", "--no-scheduler", settings=settings, token=token))
            stack.callback(serving[-1].close)
        schedulers = []
        for number in range(2):
            # The clusters are where the schedulers are: both have one home.
            schedulers.append(Running(folder / "schedulers", "scheduler", settings=settings))
            stack.callback(schedulers[-1].close)
            if number == 0:
                schedulers[0].logs("leading with epoch")
        nginx = stack.enter_context(front([urlsplit(web.url).netloc for web in serving]))
        yield Farm(site, token, serving, schedulers, nginx)
