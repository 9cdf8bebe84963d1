"""Many hosts in one process: `compute.py --config-file nova.conf`, with RIG_HOSTS=number and RIG_READY=file.

Each host is a whole nova-compute; only the hypervisor below it is not there.
"""

# ruff: noqa: E402  # Nova chooses its kind of concurrency before anything else is imported.
from __future__ import annotations

from nova import monkey_patch

monkey_patch.patch(backend="threading")

import os
import shlex
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import nova.conf
import nova.db.main.api
import nova.virt
import os_brick
import os_vif
from nova import config, objects, service, utils
from nova.compute import rpcapi
from nova.conductor import rpcapi as conductor
from nova.objects import base
from nova.virt import fake
from oslo_log import log
from oslo_privsep import priv_context
from oslo_service import opts


class Hypervisor(fake.FakeDriver):
    """Nova's own imitation, of the size of a real host, and the same host again after a restart."""

    vcpus = 64
    memory_mb = 262144
    local_gb = 2000

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        return {_identity(name): name for name in self.get_available_nodes()}

    def get_available_resource(self, nodename: str) -> Any:
        return super().get_available_resource(nodename) | {"uuid": _identity(nodename)}


def _identity(name: str) -> str:
    # Nova's imitation draws a new one in every process, and then refuses to start over the old database.
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def main() -> None:
    # Nova loads drivers from its own package only.
    sys.modules["nova.virt.rig"] = sys.modules[__name__]
    nova.virt.rig = sys.modules[__name__]
    _prepare()
    services = [_host(number) for number in range(1, int(os.environ["RIG_HOSTS"]) + 1)]
    Path(os.environ["RIG_READY"]).write_text(str(len(services)))
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    # Its threads wait for messages for ever.
    os._exit(0)


def _prepare() -> None:
    """What nova-compute does before it makes its service."""
    config.parse_args(sys.argv)
    log.setup(nova.conf.CONF, "nova")
    opts.register_service_opts(nova.conf.CONF)
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    objects.register_all()
    os_brick.setup(nova.conf.CONF)
    os_vif.initialize()
    nova.db.main.api.DISABLE_DB_ACCESS = True
    base.NovaObject.indirection_api = conductor.ConductorAPI()
    objects.Service.enable_min_version_cache()


def _host(number: int) -> Any:
    made = service.Service.create(
        host=f"node-{number:03d}",
        binary="nova-compute",
        topic=rpcapi.RPC_TOPIC,
        topic_alt=rpcapi.RPC_TOPIC_ALT,
    )
    made.start()
    return made


main()
