"""A cloud that answers over HTTP on this machine: Keystone, Blazar, Nova and Placement behind one address.

    with FakeCloud(clock) as cloud:
        path = cloud.write_clouds(tmp_path / "clouds.yaml")   # for OS_CLIENT_CONFIG_FILE

Another service is a :class:`Service` in a module of its own, added to `services`.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.openstack.fake.blazar import Blazar
from tests.openstack.fake.dates import Clock
from tests.openstack.fake.glance import Glance
from tests.openstack.fake.keystone import REGION, USERS, Keystone
from tests.openstack.fake.machines import Machine, machines
from tests.openstack.fake.magnum import Magnum
from tests.openstack.fake.nova import Nova
from tests.openstack.fake.placement import Placement
from tests.openstack.fake.servers import Servers
from tests.openstack.fake.web import Application, Faults, Service
from tests.support.served import served


class FakeCloud:
    """Runs from entering to leaving; everything in it moves by the clock that it was given."""

    def __init__(self, clock: Clock, hosts: list[Machine] | None = None) -> None:
        self.machines = machines(4) if hosts is None else hosts
        self.faults = Faults()
        self.keystone = Keystone()
        self.nova = Nova(self.machines)
        self.placement = Placement(self.machines)
        self.blazar = Blazar(clock, self.machines, self.nova, self.faults)
        self.servers = Servers(self.nova, clock)
        services: list[Service] = [self.keystone, self.nova, self.placement, self.blazar, Glance()]
        self.magnum = Magnum(clock)
        services.append(self.magnum)
        self._application = Application(services, self.keystone.caller, self.faults)
        self.keystone.catalogue = {service.type: service.path for service in services}
        self._serving = ExitStack()

    @property
    def requests(self) -> list[tuple[str, str, str]]:
        """Every request so far as (service, method, path); a test may clear it."""
        return self._application.requests

    def __enter__(self) -> Self:
        self.keystone.address = self._serving.enter_context(served(self._application))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.faults.closing.set()
        self._serving.close()

    def write_clouds(self, path: Path) -> Path:
        """A clouds.yaml with the clouds `service`, `admin`, `tenant`, and `stranger`, whose password is wrong."""
        clouds = {user.name: self._cloud(user.name, user.password, user.project) for user in USERS}
        clouds["stranger"] = self._cloud("service", "wrong-secret-9999", "service")
        # JSON is YAML.
        path.write_text(json.dumps({"clouds": clouds}))
        return path

    def _cloud(self, name: str, password: str, project: str) -> dict[str, object]:
        return {
            "region_name": REGION,
            "auth_type": "password",
            "auth": {
                "auth_url": f"{self.keystone.address}{self.keystone.path}/v3",
                "username": name,
                "password": password,
                "project_name": project,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
        }
