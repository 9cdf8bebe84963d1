"""Whether a cloud has and lets us do what is needed; nothing is made or changed there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from functools import partial

from booking.adapters.base import Checked, ProvisionerError
from booking.adapters.openstack.errors import speaking
from booking.adapters.openstack.hosts import stock_of
from booking.adapters.openstack.leases import Leases
from booking.adapters.openstack.magnum import Templates
from booking.adapters.openstack.nova import Machines
from booking.adapters.openstack.servers import ANY_NETWORK, NO_NETWORK, VERSION, Servers
from booking.adapters.openstack.session import Cloud
from booking.adapters.openstack.shapes import Kind


def of_nova(cloud: Cloud, machines: Machines, kind: Kind | None, stock: str) -> Iterator[Checked]:
    """Line by line; when nobody lets us in, the rest is not asked."""
    signed_in = _asked(_SIGN_IN, lambda: _token(cloud))
    yield signed_in
    if not signed_in.ok:
        return
    yield _asked("Nova lists our servers", lambda: f"{len(Servers(cloud).named('^bk-'))} of this service")
    yield _asked("Nova can make servers without a network", lambda: _microversion(cloud))
    yield _asked("Nova lists flavors", lambda: _flavors(cloud))
    yield _asked(f"the image {machines.image}", lambda: _image(cloud, machines.image))
    if machines.network not in (NO_NETWORK, ANY_NETWORK):
        yield _asked(f"the network {machines.network}", lambda: _network(cloud, machines.network))
    yield from _reserving(cloud, kind, stock)


def of_magnum(cloud: Cloud, templates: Templates, kind: Kind | None, stock: str) -> Iterator[Checked]:
    """The same for clusters of Magnum."""
    signed_in = _asked(_SIGN_IN, lambda: _token(cloud))
    yield signed_in
    if not signed_in.ok:
        return
    yield _asked("Magnum lists clusters", lambda: _clusters(cloud))
    for template in dict.fromkeys((templates.usual, *templates.by_package.values())):
        yield _asked(f"the cluster template {template}", partial(_template, cloud, template))
    yield from _reserving(cloud, kind, stock)


def _reserving(cloud: Cloud, kind: Kind | None, stock: str) -> Iterator[Checked]:
    if kind is not None:
        yield _asked("Blazar lists leases", lambda: f"{len(Leases(cloud).all())} of everybody")
        yield _asked("Blazar shows allocations (administrators only)", lambda: _allocations(cloud))
        yield _asked("Blazar shows its hosts (administrators only)", lambda: _hosts(cloud, "blazar"))
    if stock:
        yield _asked(f"the hosts as {stock} knows them", lambda: _hosts(cloud, stock))


_SIGN_IN = "the name and password of the service user"


def _asked(what: str, ask: Callable[[], str]) -> Checked:
    try:
        return Checked(what, True, ask())
    except ProvisionerError as error:
        return Checked(what, False, str(error))


def _token(cloud: Cloud) -> str:
    with speaking(cloud.name, "a token was asked for"):
        session = cloud.service("compute").session
        assert session.auth is not None  # noqa: S101  # a cloud of clouds.yaml has one
        access = session.auth.get_access(session)  # type: ignore[attr-defined]
        until = access.expires.astimezone(UTC)
        return (
            f"user {access.username} of project {access.project_name}; a token lasts until {until:%H:%M} UTC"
        )


def _microversion(cloud: Cloud) -> str:
    with speaking(cloud.name, "Nova was asked for its version"):
        cloud.service("compute").get("/servers?limit=1", microversion=VERSION)
        return f"it knows {VERSION}"


def _flavors(cloud: Cloud) -> str:
    with speaking(cloud.name, "its flavors were listed"):
        found = cloud.service("compute").get("/flavors/detail").json()["flavors"]
        return f"{len(found)} of them"


def _image(cloud: Cloud, image: str) -> str:
    with speaking(cloud.name, "the image was looked for"):
        found = cloud.service("image").get(f"/v2/images/{image}").json()
        return f"{found.get('name')}, {found.get('status')}"


def _clusters(cloud: Cloud) -> str:
    with speaking(cloud.name, "its clusters were listed"):
        return f"{len(cloud.service('container-infra').get('/clusters').json()['clusters'])} of this project"


def _template(cloud: Cloud, name: str) -> str:
    with speaking(cloud.name, "the cluster template was looked for"):
        found = cloud.service("container-infra").get(f"/clustertemplates/{name}").json()
        return f"{found.get('name')}, {found.get('coe')}"


def _network(cloud: Cloud, network: str) -> str:
    with speaking(cloud.name, "the network was looked for"):
        found = cloud.service("network").get(f"/v2.0/networks/{network}").json()["network"]
        return f"{found.get('name')}, {found.get('status')}"


def _allocations(cloud: Cloud) -> str:
    return f"{len(Leases(cloud).taken())} of hosts in leases"


def _hosts(cloud: Cloud, stock: str) -> str:
    hosts = stock_of(cloud, stock).hosts()
    down = [host.name for host in hosts if not host.is_up]
    told = f", down: {', '.join(down)}" if down else ""
    if not hosts:
        raise ProvisionerError("There is none.")
    return f"{len(hosts)} hosts, {sum(host.cores for host in hosts)} cores{told}"
