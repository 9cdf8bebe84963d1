"""The services of OpenStack as processes."""

from __future__ import annotations

from tests.openstack.rig.layout import ENVIRONMENT, INSIDE, Layout
from tests.openstack.rig.processes import Process

_WEB = {
    "keystone": "keystone.wsgi.api",
    "placement": "placement.wsgi.api",
    "nova": "nova.wsgi.osapi_compute",
    "neutron": "neutron_stub",
    "glance": "glance.wsgi.api",
    "magnum": "magnum.wsgi.api",
    "blazar": "blazar.wsgi.api",
}
"""What answers HTTP. Blazar's own program for it ends at once: its server is a daemon thread of a main that returns."""


def web(layout: Layout, name: str) -> Process:
    """The process `<name>-api`."""
    arguments = ["--config-file", f"{layout.folder}/magnum/magnum.conf"] if name == "magnum" else []
    port = layout.ports[name]
    return _python(layout, f"{name}-api", "launch.py", "wsgi", _WEB[name], str(port), *arguments, port=port)


def daemon(layout: Layout, name: str) -> Process:
    """What has no port, as `nova-conductor`: it listens to the broker."""
    project = name.partition("-")[0]
    config = f"{layout.folder}/{project}/{project}.conf"
    return _python(layout, name, "launch.py", "script", name, "--config-file", config)


def compute(layout: Layout, hosts: int) -> Process:
    """All the hosts; `compute.ready` is there as soon as they are."""
    return _python(
        layout,
        "nova-compute",
        "compute.py",
        "--config-file",
        f"{layout.folder}/nova/nova.conf",
        variables={"RIG_HOSTS": str(hosts), "RIG_READY": str(layout.folder / "compute.ready")},
    )


def _python(
    layout: Layout,
    name: str,
    program: str,
    *arguments: str,
    port: int = 0,
    variables: dict[str, str] | None = None,
) -> Process:
    command = [str(ENVIRONMENT / "bin" / "python"), str(INSIDE / program), *arguments]
    return Process(name, command, layout.folder, layout.variables() | (variables or {}), port)
