"""The calls to Magnum, and what it answers, read.

Names of clusters are not unique there, so that none is asked for by name: all are listed. And it answers before it
does anything: what was asked for is waited for a little, so that whoever looks next sees it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from booking.adapters.base import PlatformFault, ProvisionerError
from booking.adapters.openstack.errors import NotThere, Unsure, speaking
from booking.adapters.openstack.session import Cloud

VERSION = "1.10"
"""From here on a cluster may have no node beside its master."""
WORKERS = "booking_workers"
"""The label that tells how many workers a cluster was made for."""
_SERVICE = "container-infra"
_HEADERS = {"OpenStack-API-Version": f"{_SERVICE} {VERSION}"}
_READY = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", "RESUME_COMPLETE"})
_GOING = frozenset({"DELETE_IN_PROGRESS", "DELETE_COMPLETE"})
_SEEN_WITHIN, _LOOK_SECONDS, _SETTLES = 10.0, 0.1, 2.0
_PAUSES = (0.2, 0.3, 0.5, 1.0, 2.0)
"""So long what cannot be read is read again: while a cluster is made or deleted, Magnum answers 400 or 404."""


@dataclass(frozen=True)
class Made:
    """A cluster as Magnum lists it."""

    uuid: str
    name: str
    status: str
    workers: int
    wanted: int | None
    """How many workers it was made for; None if nobody wrote that down."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Made:
        wanted = str((values.get("labels") or {}).get(WORKERS, ""))
        return cls(
            uuid=values["uuid"],
            name=values["name"],
            status=values["status"],
            workers=int(values["node_count"]),
            wanted=int(wanted) if wanted.isdecimal() else None,
        )

    @property
    def is_coming(self) -> bool:
        return self.status == "CREATE_IN_PROGRESS"

    @property
    def is_busy(self) -> bool:
        """Magnum is at work on it, and changes nothing else of it."""
        return self.status.endswith("_IN_PROGRESS")

    @property
    def runs(self) -> bool:
        """It does so while it is being changed, too."""
        return self.status in _READY

    @property
    def is_going(self) -> bool:
        return self.status in _GOING

    @property
    def is_whole(self) -> bool:
        """Whether it has as many workers as it was made for, as far as anybody knows."""
        return self.wanted in (None, self.workers)


class Clusters:
    """The clusters of our project in one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def all(self) -> list[Made]:
        """The oldest first; they come in pages, as long as the operator of the cloud allows."""
        doing, path, found = "its clusters were listed", "/clusters", list[Made]()
        while True:
            listed = self._asked(path, doing)
            with speaking(self._cloud.name, doing):
                page = [Made.read(values) for values in listed["clusters"]]
            found += page
            if not page or not listed.get("next"):
                return found
            path = f"/clusters?marker={page[-1].uuid}"

    def named(self, name: str) -> list[Made]:
        return [one for one in self.all() if one.name == name]

    def addresses(self, uuid: str) -> tuple[str, str]:
        """Those of its first master and of its API; empty while it has none."""
        values = self._asked(f"/clusters/{uuid}", "a cluster was looked at")
        return next(iter(values.get("master_addresses") or ()), ""), str(values.get("api_address") or "")

    def create(self, name: str, values: Mapping[str, Any]) -> None:
        with speaking(self._cloud.name, f"the cluster {name} was made"):
            self._service().post("/clusters", json={"name": name, **values}, headers=_HEADERS)
        self._await(lambda: any(not one.is_going for one in self.named(name)))

    def resize(self, uuid: str, workers: int) -> None:
        """Unless Magnum is at work on it: then it says yes and does nothing, or spoils what it is doing.

        A change has its number some seconds before its status, which stays complete until all is asked for.
        """
        time.sleep(_SETTLES)
        if any(one.is_busy for one in self.all() if one.uuid == uuid):
            return
        # The client library's own update asks for the operation `move` too, which Magnum refuses.
        change = [{"op": "replace", "path": "/node_count", "value": workers}]
        with speaking(self._cloud.name, "a cluster was resized"):
            self._service().patch(f"/clusters/{uuid}", json=change, headers=_HEADERS)
        self._await(
            lambda: any(one.workers == workers and one.is_busy for one in self.all() if one.uuid == uuid)
        )

    def delete(self, uuids: Collection[str]) -> None:
        """Begin to delete them; those that are gone are well."""
        for uuid in uuids:
            with suppress(NotThere), speaking(self._cloud.name, "a cluster was deleted"):
                self._service().delete(f"/clusters/{uuid}")
        if uuids:
            self._await(
                lambda: all(one.status.startswith("DELETE") for one in self.all() if one.uuid in uuids)
            )

    def _service(self) -> Any:
        return self._cloud.service(_SERVICE)

    def _asked(self, path: str, doing: str) -> Mapping[str, Any]:
        """What Magnum answers once it does.

        :raises Unsure: if it goes on answering 400 or 404.
        """
        said = ""
        for pause in (*_PAUSES, 0.0):
            try:
                return self._read(path, doing)
            except PlatformFault:
                raise
            except ProvisionerError as error:
                said = str(error)
                time.sleep(pause)
        raise Unsure(said)

    def _read(self, path: str, doing: str) -> Mapping[str, Any]:
        with speaking(self._cloud.name, doing):
            found: Mapping[str, Any] = self._service().get(path).json()
            return found

    def _await(self, is_seen: Callable[[], bool]) -> None:
        """Until it is seen, or Magnum takes its time: then a later look tells."""
        until = time.monotonic() + _SEEN_WITHIN
        while not is_seen() and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
