"""A driver for Magnum, which comes without any: every node of a cluster is a server in the project of the cluster.

The label `rig_fail` of a cluster (`create` or `delete`) makes that fail. Magnum finds the driver by an
entry point, which :mod:`tests.openstack.rig.magnum` writes.
"""

from __future__ import annotations

from typing import Any, NoReturn

import openstack
from magnum.drivers.common import driver
from magnum.objects import fields

Status = fields.ClusterStatus
CLUSTER = "rig_cluster"
"""The key in a server's metadata that names its cluster."""


class ServersDriver(driver.Driver):
    """Clusters of servers that nothing is installed on."""

    @property
    def provides(self) -> list[dict[str, str]]:
        return [{"server_type": "vm", "os": "ubuntu", "coe": "kubernetes"}]

    def create_cluster(self, context: Any, cluster: Any, cluster_create_timeout: int) -> None:
        cluster.stack_id = _stack(cluster)
        self._converge(context, cluster)

    def update_cluster(
        self, context: Any, cluster: Any, scale_manager: Any = None, rollback: bool = False
    ) -> None:
        self._converge(context, cluster)

    def resize_cluster(self, context: Any, cluster: Any, *_: Any, **__: Any) -> None:
        self._converge(context, cluster)

    def delete_cluster(self, context: Any, cluster: Any) -> None:
        if cluster.labels.get("rig_fail") == "delete":
            raise RuntimeError("the label rig_fail asks for it")
        compute = _everything().compute
        for server in _servers(compute, cluster).values():
            compute.delete_server(server)

    def update_cluster_status(self, context: Any, cluster: Any, use_admin_ctx: bool = False) -> None:
        compute = _everything().compute
        servers = _servers(compute, cluster)
        # What was just being made when the others were deleted is deleted now.
        wanted = {} if cluster.status == Status.DELETE_IN_PROGRESS else _wanted(cluster)
        for name in servers.keys() - wanted.keys():
            compute.delete_server(servers[name])
        found = _status(cluster, [server.status for server in servers.values()])
        if found == cluster.status:
            return
        cluster.status = found
        if found == Status.CREATE_COMPLETE:
            cluster.api_address = "https://192.0.2.1:6443"
        for group in cluster.nodegroups:
            group.status = found
            group.save()
        cluster.save()

    def _converge(self, context: Any, cluster: Any) -> None:
        """Make the servers that are missing and delete those that are too many."""
        cloud = _as_caller(context)
        wanted = _wanted(cluster)
        there = _servers(_everything().compute, cluster)
        for name in wanted.keys() - there.keys():
            group = wanted[name]
            flavor = group.flavor_id or cluster.flavor_id
            cloud.compute.create_server(
                name=name,
                flavor_id=cloud.compute.find_flavor(flavor, ignore_missing=False).id,
                image_id=cloud.image.find_image(group.image_id, ignore_missing=False).id,
                networks="none",
                metadata={CLUSTER: cluster.uuid},
            )
        for name in there.keys() - wanted.keys():
            cloud.compute.delete_server(there[name])

    def _none(self, *_: Any, **__: Any) -> NoReturn:
        """What every driver of Magnum must have, and nobody asks of this one."""
        raise NotImplementedError

    upgrade_cluster = create_federation = update_federation = delete_federation = _none
    create_nodegroup = update_nodegroup = delete_nodegroup = _none


def _status(cluster: Any, servers: list[str]) -> str:
    """What its servers make of a cluster that something is in progress with."""
    now: str = cluster.status
    if now == Status.DELETE_IN_PROGRESS:
        return now if servers else str(Status.DELETE_COMPLETE)
    failing = now == Status.CREATE_IN_PROGRESS and cluster.labels.get("rig_fail") == "create"
    if failing or "ERROR" in servers:
        return now.replace("IN_PROGRESS", "FAILED")
    ready = len(servers) == len(_wanted(cluster)) and set(servers) <= {"ACTIVE"}
    return now.replace("IN_PROGRESS", "COMPLETE") if ready else now


def _wanted(cluster: Any) -> dict[str, Any]:
    """The names of its nodes, each with its group."""
    return {
        f"{_stack(cluster)}-{group.role}-{number}": group
        for group in cluster.nodegroups
        for number in range(group.node_count)
    }


def _stack(cluster: Any) -> str:
    # Magnum saves a cluster's stack_id only after all its servers are made, and looks after it every ten seconds
    # meanwhile: names that came from there would make the first servers look as if nobody wanted them.
    return f"rig-{cluster.uuid}"


def _servers(compute: Any, cluster: Any) -> dict[str, Any]:
    servers = compute.servers(all_projects=True, details=True)
    return {s.name: s for s in servers if (s.metadata or {}).get(CLUSTER) == cluster.uuid}


def _as_caller(context: Any) -> Any:
    """A reservation serves the project that made it, so its servers must be made there."""
    auth_url = _everything().config.auth["auth_url"]
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name="RegionOne",
        auth_type="v3token",
        auth={"auth_url": auth_url, "token": context.auth_token, "project_id": context.project_id},
    )


def _everything() -> Any:
    return openstack.connect(cloud="admin")
