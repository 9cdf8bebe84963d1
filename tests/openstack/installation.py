"""A whole installation with one pool on a cloud, typed as an administrator types it; its scheduler is a process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.adapters.waiting import eventually
from tests.cli.conftest import Terminal
from tests.e2e.service import Running

HOUR = timedelta(hours=1)


class Installation:
    """On SQLite below a folder; the cloud is the entry `service` of a clouds.yaml."""

    def __init__(self, folder: Path, clouds_file: Path, image: str) -> None:
        self.folder = folder
        url = f"sqlite:///{folder / 'booking.db'}"
        self._engine = create_engine(url)
        self._settings = {
            "BOOKING_PROVISIONER": "null",
            "BOOKING_TICK_SECONDS": "0.2",
            "BOOKING_RECONCILE_SECONDS": "5",
            "BOOKING_DATABASE_URL": url,
            "OS_CLIENT_CONFIG_FILE": str(clouds_file),
        }
        self._terminal = Terminal(folder / "run" / "home", url)
        self._terminal.env |= self._settings
        self._type("init --bare")
        settings = f"--set cloud=service --set image={image} --set stock=blazar --set disk_gib=1"
        self._type(f"platform create cloud --provisioner nova --set pledges=virtual:instance {settings}")
        self._type("pool create far --timezone UTC --platform cloud")
        sizes = "--notebook-cores 1 --notebook-memory-mib 1024 --worker-cores 4 --worker-memory-mib 8192"
        self._type(f"package create small {sizes}")
        self._type("account create root --admin")

    def _type(self, words: str) -> None:
        self._terminal.ok(*words.split())

    def scheduler(self) -> Running:
        return Running(self.folder / "run", "scheduler", settings=self._settings)

    def book(self) -> str:
        """Two hours, from the one after the next on; the id of its reservation."""
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 2 * HOUR
        span = ("--start", f"{start:%Y-%m-%dT%H:%MZ}", "--end", "PT2H")
        made = self._terminal.json("book", "small", *span)
        return str(made["reservations"][0]["id"])

    def count(self, table: str, where: str = "true") -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())

    def await_hosts(self, many: int) -> None:
        eventually(lambda: self.count("host") == many)

    def await_pledge(self) -> None:
        eventually(lambda: self.count("pledge", "phase = 'pending'") == 1)

    def verified(self) -> bool:
        return self._terminal.ok("verify") == "all is well\n"

    def close(self) -> None:
        self._engine.dispose()
