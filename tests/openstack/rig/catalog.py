"""What an administrator of the cloud sets up: accounts, the catalogue, hosts to reserve, an image, flavors."""

from __future__ import annotations

from typing import Any

from tests.openstack.rig.layout import Layout

ACCOUNTS = {
    "openstack": ("service", ("admin", "service")),
    "booking": ("booking", ("member", "booking")),
    "tenant": ("tenant", ("member",)),
}
"""Name, project, roles: of OpenStack's services, of the product, and of somebody who only uses the cloud."""
ENDPOINTS = {
    "placement": ("placement", ""),
    "compute": ("nova", "/v2.1"),
    "network": ("neutron", ""),
    "image": ("glance", ""),
    "container-infra": ("magnum", "/v1"),
    "reservation": ("blazar", "/v1"),
}
"""By the type of the service: its name, and the path of its API."""
FLAVORS = {"tiny": (1, 1024), "small": (2, 4096), "large": (8, 16384)}
"""Cores and MiB."""
IMAGE = "nothing"
TEMPLATE = "small"
"""Of clusters."""


def accounts_and_endpoints(connection: Any, layout: Layout) -> None:
    """What Keystone is told."""
    _accounts(connection.identity, layout.password)
    for kind, (name, path) in ENDPOINTS.items():
        _endpoint(connection.identity, kind, name, f"{layout.url(name)}{path}")


def _accounts(identity: Any, password: str) -> None:
    domain = identity.find_domain("Default", ignore_missing=False).id
    roles = {role.name: role for role in identity.roles()}
    for name, (project_name, wanted) in ACCOUNTS.items():
        project = identity.create_project(name=project_name, domain_id=domain)
        user = identity.create_user(
            name=name, password=password, domain_id=domain, default_project_id=project.id
        )
        for role in wanted:
            if role not in roles:
                roles[role] = identity.create_role(name=role)
            identity.assign_project_role_to_user(project, user, roles[role])


def _endpoint(identity: Any, kind: str, name: str, url: str) -> None:
    service = identity.create_service(type=kind, name=name)
    for interface in ("public", "internal", "admin"):
        identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id="RegionOne")


def freepool(connection: Any) -> None:
    """The aggregate of what nobody has reserved; without it Blazar accepts no host."""
    connection.compute.create_aggregate(name="freepool")


def reservable(connection: Any, hosts: int) -> None:
    """Give the first hosts to Blazar. The others stay outside: its filter keeps strangers off those that it has."""
    for number in range(1, hosts + 1):
        # One that failed is not tried again: Blazar leaves half of it behind, and refuses it for ever.
        answer = connection.reservation.post("/os-hosts", json={"name": f"node-{number:03d}"})
        assert answer.status_code == 201, answer.text


def flavors(connection: Any) -> None:
    """For servers outside of reservations, and for `flavor:instance` to reserve."""
    for name, (cores, memory_mib) in FLAVORS.items():
        connection.compute.create_flavor(name=name, vcpus=cores, ram=memory_mib, disk=5)


def image(connection: Any) -> None:
    """One that every project may use."""
    connection.create_image(
        IMAGE,
        data=b"no hypervisor reads it",
        disk_format="raw",
        container_format="bare",
        visibility="public",
        wait=True,
        # By this Magnum chooses the driver of a cluster.
        os_distro="ubuntu",
    )


def cluster_template(connection: Any) -> None:
    """Of clusters of the flavor `small`; every project may use it."""
    connection.container_infrastructure_management.create_cluster_template(
        name=TEMPLATE,
        coe="kubernetes",
        image_id=IMAGE,
        flavor_id="small",
        master_flavor_id="small",
        network_driver="flannel",
        is_public=True,
    )
