"""Clusters of Magnum: one for each reservation, by a template for its package.

A cluster is found by its name, `bk-<reservation>-<installation>`. How many workers it shall have stands in a label;
one that has another number by now is resized. Magnum has no place for a deadline that may move, so this service
keeps it in its home folder, where all its processes see it: whoever looks at a cluster past its deadline deletes it,
and in a lease of Blazar its servers end with the lease.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from booking.adapters.base import (
    Capabilities,
    ClusterSpec,
    ClusterState,
    Endpoint,
    Observed,
    ProvisionerError,
    checked_id,
    outside_name,
    refuse_passed,
)
from booking.adapters.openstack.clusters import WORKERS, Clusters, Made
from booking.adapters.openstack.naming import fingerprint, token_of
from booking.adapters.openstack.session import Clock, Cloud

_NAME = re.compile(r"bk-(?P<reservation>[a-z0-9]{8,40})-(?P<installation>[0-9a-f]{8})")


@dataclass(frozen=True)
class Templates:
    """Which template makes the cluster of which package, and how its people reach it."""

    usual: str
    by_package: Mapping[str, str] = field(default_factory=dict)
    key_name: str = ""
    address: str = ""
    """How users reach a notebook, as `https://{name}.example.org`; empty is port 8888 of the master."""

    def of(self, package: str) -> str:
        return self.by_package.get(package, self.usual)


class MagnumProvisioner:
    """The clusters of one installation in the project of one cloud."""

    name = "magnum"

    def __init__(
        self, cloud: Cloud, templates: Templates, home: Path, *, installation: str, clock: Clock, key: bytes
    ) -> None:
        """`key` is what tokens derive from; every process of the installation has the same, and the same `home`."""
        self._cloud, self._templates, self._home = cloud, templates, home
        self._clusters = Clusters(cloud)
        self._ours, self._clock, self._key = fingerprint(installation), clock, key

    def capabilities(self) -> Capabilities:
        return Capabilities(
            hard_memory=True,
            hard_cores=True,
            survives_restart=True,
            contains_escapees=True,
            notes=(
                "The deadline of a cluster is kept by this service, unless a lease of Blazar ends its servers.",
            ),
        )

    def provision(self, spec: ClusterSpec) -> None:
        """As the port says; what failed is deleted and made again, what has lost or gained workers is resized."""
        checked_id(spec.reservation_id)
        refuse_passed(spec, self._clock.now())
        with self._cloud.writing:
            there = self._of(spec.reservation_id)
            if there and all(one.is_going for one in there):
                raise ProvisionerError("This cluster is just ending.")
            working = [
                one
                for one in there
                if (one.runs or one.is_coming) and one.wanted in (None, spec.worker_count)
            ]
            self._delete(one for one in there if one not in working[:1])
            self._note(spec.reservation_id, spec.ends_at)
            if not working:
                self._create(spec)
            elif working[0].workers != spec.worker_count and not working[0].is_busy:
                self._clusters.resize(working[0].uuid, spec.worker_count)

    def observe(self, reservation_id: str) -> Observed:
        """As the port says; what is past its deadline is deleted by the look."""
        checked_id(reservation_id)
        there, ends_at = self._of(reservation_id), self._deadline(reservation_id)
        if not there:
            return Observed(ClusterState.ABSENT)
        staying = [one for one in there if not one.is_going]
        if not staying:
            return Observed(ClusterState.STOPPING, "Magnum deletes it.", ends_at=ends_at)
        if ends_at is not None and ends_at <= self._clock.now():
            self.teardown(reservation_id, grace=timedelta(0))
            return Observed(ClusterState.STOPPING, "Its end has passed.", ends_at=ends_at)
        first = staying[0]
        if first.is_coming:
            return Observed(ClusterState.STARTING, "Magnum is making it.", ends_at=ends_at)
        if not first.runs:
            return Observed(ClusterState.LOST, f"Magnum says {first.status}.", ends_at=ends_at)
        if not first.is_whole and first.is_busy:
            return Observed(ClusterState.STARTING, "Magnum is changing it.", ends_at=ends_at)
        if not first.is_whole:
            has = f"It has {first.workers} workers instead of {first.wanted}."
            return Observed(ClusterState.LOST, has, ends_at=ends_at)
        return Observed(ClusterState.READY, "Magnum has made it.", self._endpoints(first), ends_at)

    def extend(self, reservation_id: str, ends_at: datetime) -> None:
        checked_id(reservation_id)
        if all(one.is_going for one in self._of(reservation_id)):
            raise ProvisionerError("There is no such cluster to extend.", transient=False)
        self._note(reservation_id, ends_at)

    def teardown(self, reservation_id: str, *, grace: timedelta) -> None:
        """The same for every `grace`; one that failed to be deleted is deleted again."""
        checked_id(reservation_id)
        with self._cloud.writing:
            self._delete(self._of(reservation_id))

    def credentials(self, reservation_id: str) -> Mapping[str, str]:
        if self.observe(reservation_id).state not in (ClusterState.STARTING, ClusterState.READY):
            return {}
        return self.tokens(reservation_id)

    def tokens(self, reservation_id: str) -> Mapping[str, str]:
        """The tokens that a cluster of this reservation has or would have; the cloud is not asked."""
        return {"notebook": token_of(self._key, reservation_id)}

    def inventory(self) -> frozenset[str]:
        found = (_NAME.fullmatch(one.name) for one in self._clusters.all())
        return frozenset(m["reservation"] for m in found if m and m["installation"] == self._ours)

    def _named(self, reservation_id: str) -> str:
        return f"{outside_name(reservation_id)}-{self._ours}"

    def _of(self, reservation_id: str) -> list[Made]:
        return self._clusters.named(self._named(reservation_id))

    def _create(self, spec: ClusterSpec) -> None:
        made = self._templates
        values: dict[str, Any] = {
            "cluster_template_id": made.of(spec.package),
            "master_count": 1,
            "node_count": spec.worker_count,
            "labels": {
                "booking_reservation": spec.reservation_id,
                "booking_token": self.tokens(spec.reservation_id)["notebook"],
                WORKERS: str(spec.worker_count),
            },
        }
        if made.key_name:
            values["keypair"] = made.key_name
        if spec.binding:
            values["master_flavor_id"] = spec.binding.get("head_flavor", "")
            values["flavor_id"] = spec.binding.get("worker_flavor") or spec.binding.get("head_flavor", "")
        self._clusters.create(self._named(spec.reservation_id), values)

    def _delete(self, these: Iterable[Made]) -> None:
        self._clusters.delete({one.uuid for one in these if not one.is_going})

    def _endpoints(self, one: Made) -> tuple[Endpoint, ...]:
        master, api = self._clusters.addresses(one.uuid)
        host = master or one.name
        notebook = self._templates.address.format(name=one.name) or f"http://{host}:8888"
        return (
            Endpoint("notebook", f"{notebook.rstrip('/')}/"),
            Endpoint("scheduler", api or f"https://{host}:6443"),
        )

    def _note(self, reservation_id: str, ends_at: datetime) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._home / outside_name(reservation_id)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(ends_at.isoformat())
        fresh.replace(path)

    def _deadline(self, reservation_id: str) -> datetime | None:
        try:
            return datetime.fromisoformat((self._home / outside_name(reservation_id)).read_text())
        except (OSError, ValueError):
            return None
