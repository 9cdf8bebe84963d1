"""Blazar's instance plugin, called through its own functions over an SQLite database of its own tables.

One host as big as the pool makes Blazar's answer the count that we give: it lists the host once for each
instance that still fits. Its spans include their last moment, ours do not; so every lease ends a minute
earlier there. MySQL, which Blazar is run on, indexes foreign keys by itself; here that is done by hand.
"""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.workload import DEMANDS, Taken, Window, Workload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_MINUTE = timedelta(minutes=1)
_FOREIGN_KEYS = (
    ("reservations", "lease_id"),
    ("events", "lease_id"),
    ("instance_reservations", "reservation_id"),
    ("computehost_allocations", "reservation_id"),
    ("computehost_allocations", "compute_host_id"),
    ("computehost_reservations", "reservation_id"),
)
_BATCH = 10_000


class Blazar:
    """The calendar is that of one package: each cell is a request of its own, and there are no others."""

    def __init__(self, workload: Workload, most: int, folder: Path) -> None:
        self._workload = workload
        warnings.simplefilter("ignore")  # of eventlet, about itself
        config: Any = importlib.import_module("oslo_config.cfg")
        self._models: Any = importlib.import_module("blazar.db.sqlalchemy.models")
        facade: Any = importlib.import_module("blazar.db.sqlalchemy.facade_wrapper")
        database: Any = importlib.import_module("blazar.db.api")
        path = folder / f"blazar-{most}.db"
        config.CONF.set_override("connection", f"sqlite:///{path}", group="database")
        database.setup_db()
        plugin: Any = importlib.import_module("blazar.plugins.instances.instance_plugin")
        # Its constructor would ask for Nova and Placement, which only other acts of it need.
        self._plugin = plugin.VirtualInstancePlugin.__new__(plugin.VirtualInstancePlugin)
        with facade.session_for_write() as session:
            self._fill(session, workload.taken(most=most))

    def _fill(self, session: Any, taken: Taken) -> None:
        sqlalchemy: Any = importlib.import_module("sqlalchemy")
        cores, memory = self._workload.capacity().tolist()
        host = {
            "id": "1",
            "vcpus": cores,
            "memory_mb": memory,
            "local_gb": 10**9,
            "cpu_info": "",
            "hypervisor_type": "QEMU",
            "hypervisor_version": 1,
            "availability_zone": "",
            "trust_id": "1",
        }
        session.execute(sqlalchemy.insert(self._models.ComputeHost), [host])
        rows = list(_rows(taken))
        for begin in range(0, len(rows), _BATCH):
            batch = rows[begin : begin + _BATCH]
            for model, number in (
                (self._models.Lease, 0),
                (self._models.Reservation, 1),
                (self._models.InstanceReservations, 2),
                (self._models.ComputeHostAllocation, 3),
            ):
                session.execute(sqlalchemy.insert(model), [row[number] for row in batch])
            session.execute(sqlalchemy.insert(self._models.Event), [e for row in batch for e in row[4]])
        for table, column in _FOREIGN_KEYS:
            session.execute(sqlalchemy.text(f"CREATE INDEX bench_{table}_{column} ON {table} ({column})"))
        session.execute(sqlalchemy.text("ANALYZE"))

    def can_i(self, window: Window) -> int:
        cores, memory = DEMANDS[window.package].tolist()
        start, end = _instant(window.start), _instant(window.end) - _MINUTE
        return len(self._plugin.query_available_hosts(cores, memory, 0, None, start, end))

    def calendar(self) -> list[list[int]]:
        edges, package = self._workload.edges.tolist(), self._workload.window.package
        cells = itertools.pairwise(edges)
        return [[self.can_i(Window(start, end, package)) for start, end in cells]]


def _instant(minute: int) -> datetime:
    return _EPOCH + minute * _MINUTE


def _rows(taken: Taken) -> Iterator[tuple[Any, ...]]:
    """Lease, reservation, instance reservation, allocation and the two events of each."""
    columns = [column.tolist() for column in taken]
    for number, (start, end, cores, memory) in enumerate(zip(*columns, strict=True)):
        name = f"{number:010}"
        begins, ends = _instant(start), _instant(end) - _MINUTE
        yield (
            {"id": name, "name": name, "start_date": begins, "end_date": ends, "status": "PENDING"},
            {"id": name, "lease_id": name, "resource_id": name, "resource_type": "virtual:instance"},
            {
                "id": name,
                "reservation_id": name,
                "vcpus": cores,
                "memory_mb": memory,
                "disk_gb": 0,
                "amount": 1,
            },
            {"id": name, "compute_host_id": "1", "reservation_id": name},
            [
                {"id": f"{name}-{kind}", "lease_id": name, "event_type": kind, "time": time}
                for kind, time in (("start_lease", begins), ("end_lease", ends))
            ],
        )
