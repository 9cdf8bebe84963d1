"""What a server is told at its first boot: who it is in the cluster, what to start, and when to power off."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from string import Template

from booking.adapters.base import ClusterSpec

ENGINES = ("dask", "spark")


def user_data(spec: ClusterSpec, *, engine: str, role: str, head: str, token: str) -> str:
    """The cloud-config of one node, in base64 as Nova wants it.

    `role` is `head` or `worker`, `head` the name by which workers find the head on their network.
    """
    told = {
        "reservation": spec.reservation_id,
        "package": spec.package,
        "owner": spec.owner,
        "engine": engine,
        "role": role,
        "head": head,
        "token": token,
        "ends_at": spec.ends_at.isoformat(),
        "notebook_url": spec.notebook_url or "",
        "notebook_cores": spec.notebook_cores,
        "notebook_memory_mib": spec.notebook_memory_mib,
        "worker_cores": spec.worker_cores,
        "worker_memory_mib": spec.worker_memory_mib,
        "worker_count": spec.worker_count,
    }
    text = Template(_read("node.yaml")).substitute(
        cluster=_inside(json.dumps(told, indent=1)),
        deadline=_inside(_read("deadline")),
        start=_inside(_read("start.sh")),
    )
    return base64.b64encode(text.encode()).decode()


def _read(name: str) -> str:
    return (files(__package__) / "boot" / name).read_text()


def _inside(text: str) -> str:
    """The lines of a file within the cloud-config."""
    return text.rstrip("\n").replace("\n", "\n      ")
