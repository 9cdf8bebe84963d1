"""A whole cloud in the hands of tests."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from tests.openstack.rig.layout import Layout
from tests.openstack.rig.processes import Process, end

BACKING = ("rabbitmq", "epmd", "mariadb")
"""Ended after everything that speaks to them."""


@dataclass(frozen=True)
class Cloud:
    """What runs, and how to reach it."""

    layout: Layout
    hosts: int
    reservable_hosts: int
    """How many of them Blazar has: `node-001` and following."""
    processes: dict[str, Process] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    """When each step of the boot was done, in seconds after its beginning."""

    @property
    def folder(self) -> Path:
        """With `log/`, one file for each process."""
        return self.layout.folder

    @property
    def clouds_file(self) -> Path:
        """With the entries `admin`, `service` (what the product uses) and `tenant` (a plain member)."""
        return self.layout.clouds_file

    @property
    def auth_url(self) -> str:
        return self.layout.auth_url

    @property
    def asked_at(self) -> str:
        """A free address for whoever wants to be asked by Blazar; see :meth:`restart_blazar`."""
        return f"{self.layout.url('asked')}/"

    def process(self, name: str) -> Process:
        """By the name of its log: `blazar-manager`, `blazar-api`, `nova-compute`, `mariadb`..."""
        return self.processes[name]

    def connection(self, name: str) -> Any:
        """As one of the entries of :attr:`clouds_file`; Blazar speaks its first version, which has hosts too."""
        found = OpenStackConfig(config_files=[str(self.clouds_file)], load_envvars=False)
        return Connection(config=found.get_one(name, reservation_api_version="1"))

    def restart_blazar(self, external_url: str = "", token: str = "") -> None:
        """Start Blazar's manager again: it asks this URL about every lease, or nobody."""
        self.layout.render("blazar.conf", enforcement(external_url, token))
        manager = self.process("blazar-manager")
        manager.kill()
        manager.start_again()
        self.await_manager()

    def await_manager(self) -> None:
        """Wait until Blazar's manager listens; what its API sends before is lost, and answered after a minute."""
        self._await_listening("blazar-manager", "blazar.manager")

    def await_conductor(self) -> None:
        """Wait until Magnum's conductor listens; what its API sends before is lost, and nobody learns of it."""
        self._await_listening("magnum-conductor", "magnum-conductor")

    def _await_listening(self, name: str, queue: str) -> None:
        daemon = self.process(name)
        daemon.await_answer(lambda: f"Queue.declare: {queue}" in daemon.said())

    def start(self, process: Process) -> Process:
        """Start a further process, which ends with the cloud."""
        self.processes[process.name] = process
        process.start()
        return process

    def close(self) -> None:
        """End everything, and remove the data; the logs stay."""
        end([process for name, process in self.processes.items() if name not in BACKING])
        end([process for name, process in self.processes.items() if name in BACKING])
        for name in ("mariadb", "rabbit"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def enforcement(external_url: str, token: str) -> str:
    """The section of Blazar's configuration that names who is asked about leases."""
    if not external_url:
        return ""
    return (
        "enabled_filters = ExternalServiceFilter\n"
        f"external_service_base_endpoint = {external_url}\n"
        f"external_service_token = {token}\n"
    )
