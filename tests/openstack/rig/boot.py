"""From nothing to a cloud: what waits for nothing runs side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.openstack.rig import catalog, servers, services
from tests.openstack.rig.cloud import Cloud
from tests.openstack.rig.layout import ENVIRONMENT, Layout
from tests.openstack.rig.processes import Died
from tests.openstack.rig.schemas import Schemas

SCHEMAS_AT_ONCE = 3
"""More would only delay the first ones, for which everything else waits."""
_IN_USE = ("already in use", "eaddrinuse")


@contextmanager
def cloud(folder: Path, hosts: int, reservable_hosts: int) -> Iterator[Cloud]:
    """A cloud that runs within `with`; its logs stay in the folder afterwards."""
    assert (ENVIRONMENT / "bin" / "nova-manage").exists(), "run `make .venv/openstack/.installed` first"
    booted = _boot(folder / "1", hosts, reservable_hosts) or _boot(folder / "2", hosts, reservable_hosts)
    assert booted, f"twice something else took a port; see {folder}"
    try:
        yield booted
    finally:
        booted.close()


def _boot(folder: Path, hosts: int, reservable_hosts: int) -> Cloud | None:
    """The cloud, or none if something else took one of its ports meanwhile."""
    layout = Layout(folder)
    layout.write()
    made = Cloud(layout, hosts, reservable_hosts)
    try:
        with ThreadPoolExecutor() as pool, ThreadPoolExecutor(SCHEMAS_AT_ONCE) as few:
            _Boot(made, pool, Schemas(layout, few)).run()
    except BaseException as error:
        made.close()
        if isinstance(error, Died) and any(words in str(error).lower() for words in _IN_USE):
            return None
        raise
    return made


class _Boot:
    """One boot. Processes are started by the main thread alone: see :meth:`Process.start`."""

    def __init__(self, made: Cloud, pool: ThreadPoolExecutor, schemas: Schemas) -> None:
        self._cloud = made
        self._layout = made.layout
        self._schemas = schemas
        self._pool = pool
        self._began = time.monotonic()

    def run(self) -> None:
        self._backing()
        self._schemas.start()
        catalogue = self._keystone()
        self._nova(catalogue)
        self._others()
        furniture = [self._as_admin(catalog.flavors), self._as_admin(catalog.image)]
        self._hosts()
        self._blazar()
        for future in furniture:
            future.result()
        self._as_admin(catalog.cluster_template).result()
        self._cloud.await_conductor()
        self._done("everything")
        lines = [f"{seconds:6.1f} s  {step}" for step, seconds in self._cloud.steps.items()]
        (self._layout.folder / "log" / "boot.log").write_text("\n".join([*lines, ""]))

    def _done(self, step: str) -> None:
        self._cloud.steps[step] = round(time.monotonic() - self._began, 1)

    def _as_admin(self, act: Callable[..., None], *arguments: Any) -> Future[None]:
        """Do it in another thread."""

        def run() -> None:
            with self._cloud.connection("admin") as connection:
                act(connection, *arguments)

        return self._pool.submit(run)

    def _backing(self) -> None:
        self._cloud.start(servers.epmd(self._layout)).await_answer()
        self._cloud.start(servers.rabbitmq(self._layout))
        self._cloud.start(servers.mariadb(self._layout)).await_answer()
        self._done("database")

    def _keystone(self) -> Future[None]:
        """Keystone, and what is written into it."""
        self._schemas.await_made("keystone")
        self._cloud.start(services.web(self._layout, "keystone")).await_answer()
        self._done("keystone")
        return self._as_admin(catalog.accounts_and_endpoints, self._layout)

    def _nova(self, catalogue: Future[None]) -> None:
        self._cloud.process("rabbitmq").await_answer()
        for name in ("placement", "nova"):
            self._schemas.await_made(name)
            self._cloud.start(services.web(self._layout, name))
        for name in ("nova-conductor", "nova-scheduler"):
            self._cloud.start(services.daemon(self._layout, name))
        self._cloud.start(services.web(self._layout, "neutron"))
        catalogue.result()
        self._cloud.process("placement-api").await_answer()
        self._cloud.start(services.compute(self._layout, self._cloud.hosts))
        self._done("nova")

    def _others(self) -> None:
        for name in ("glance", "blazar", "magnum"):
            self._schemas.await_made(name)
            self._cloud.start(services.web(self._layout, name))
        for name in ("blazar-manager", "magnum-conductor"):
            self._cloud.start(services.daemon(self._layout, name))
        for name in ("nova", "neutron", "glance", "blazar", "magnum"):
            self._cloud.process(f"{name}-api").await_answer()
        self._done("services")

    def _hosts(self) -> None:
        """Blazar accepts no host that Nova has not been told of, nor any before there is an aggregate of free ones."""
        pool = self._as_admin(catalog.freepool)
        self._cloud.process("nova-compute").await_answer((self._layout.folder / "compute.ready").exists)
        self._schemas.discover_hosts()
        pool.result()
        self._done("hosts")

    def _blazar(self) -> None:
        self._cloud.await_manager()
        self._as_admin(catalog.reservable, self._cloud.reservable_hosts).result()
        self._done("reservable hosts")
