"""The complete twin of a platform that pledges: it keeps every rule of the port and sets nothing aside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from booking.adapters.base import (
    ClusterSpec,
    Inquiry,
    NotEnough,
    Pledged,
    PledgeState,
    ProvisionerError,
    Stranger,
    checked_id,
    is_ours,
)
from booking.adapters.null.outside import Clock, Folder, Memory


class NullPledges:
    """Pledges that exist as records only; with `cores`, no more than these are set aside at any moment.

    Two objects with the same `folder` share the outside; those of another `installation` are strangers.
    """

    name = "null"

    def __init__(
        self,
        clock: Clock,
        folder: Path | None = None,
        *,
        installation: str = "",
        cores: int | None = None,
        may_change: bool = True,
    ) -> None:
        self._clock = clock
        self._installation = installation
        self._cores = cores
        self._outside = Memory() if folder is None else Folder(folder)
        self.may_change = may_change

    def pledge(self, spec: ClusterSpec) -> Pledged:
        checked_id(spec.reservation_id)
        with self._outside.alone():
            before = self._outside.read(spec.reservation_id)
            kept = before is not None and not before["broken"]
            after = self._record(spec)
            if before is not None and kept:
                same = {key: before[key] for key in after} == after
                if not same and not self.may_change:
                    raise ProvisionerError("What is set aside here cannot be changed.", transient=False)
            self._check_room(spec)
            self._outside.write(spec.reservation_id, {**after, "broken": False})
            return self._seen(self._outside.read(spec.reservation_id) or {})

    def look(self) -> Mapping[str, Pledged]:
        with self._outside.alone():
            return {name: self._seen(record) for name, record in self._records(ours=True).items()}

    def release(self, reservation_id: str) -> None:
        checked_id(reservation_id)
        with self._outside.alone():
            record = self._outside.read(reservation_id)
            if record is not None and self._is_ours(record):
                self._outside.remove(reservation_id)

    def strangers(self) -> tuple[Stranger, ...]:
        with self._outside.alone():
            return tuple(
                Stranger(name, _instant(record["starts_at"]), _instant(record["ends_at"]), record["cores"], 0)
                for name, record in self._records(ours=False).items()
                if _instant(record["ends_at"]) > self._clock.now()
            )

    def inquiry(self, asked: Mapping[str, Any]) -> Inquiry:
        """A lease in plain values: `starts_at`, `ends_at`, `cores`, and `id`, `name` and `owner` if it has them."""
        lease = {**(asked.get("current_lease") or {}), **asked["lease"]}
        try:
            starts_at, ends_at, cores = (
                _instant(lease["starts_at"]),
                _instant(lease["ends_at"]),
                lease["cores"],
            )
            named = [str(lease.get(word, "")) for word in ("id", "owner", "name")]
        except (KeyError, TypeError) as error:
            raise ValueError(f"it has no {error}") from None
        if isinstance(cores, bool) or not isinstance(cores, int):
            raise ValueError("its cores are no whole number")
        return Inquiry(Stranger(named[0], starts_at, ends_at, cores, 0, *named[1:]))

    def lose(self, reservation_id: str, *, broken: bool = False) -> None:
        """Forget a pledge, as an operator of the platform might; or break it."""
        with self._outside.alone():
            record = self._outside.read(checked_id(reservation_id))
            if record is not None and broken:
                self._outside.write(reservation_id, record | {"broken": True})
            elif record is not None:
                self._outside.remove(reservation_id)

    def _record(self, spec: ClusterSpec) -> dict[str, Any]:
        cores = spec.notebook_cores + spec.worker_count * spec.worker_cores
        return {
            "revision": spec.revision,
            "starts_at": spec.starts_at.isoformat(),
            "ends_at": spec.ends_at.isoformat(),
            "cores": cores,
            "installation": self._installation,
        }

    def _check_room(self, spec: ClusterSpec) -> None:
        if self._cores is None:
            return
        wanted = self._record(spec)["cores"]
        for name in self._outside.names():
            record = self._outside.read(name) or {}
            meets = (
                _instant(record["starts_at"]) < spec.ends_at and _instant(record["ends_at"]) > spec.starts_at
            )
            if name != spec.reservation_id and meets:
                wanted += record["cores"]
        if wanted > self._cores:
            raise NotEnough(f"The platform has {self._cores} cores; {wanted} would be set aside.")

    def _records(self, *, ours: bool) -> dict[str, dict[str, Any]]:
        read = {name: self._outside.read(name) for name in self._outside.names()}
        return {name: record for name, record in read.items() if record and self._is_ours(record) is ours}

    def _is_ours(self, record: Mapping[str, Any]) -> bool:
        return is_ours(record.get("installation"), self._installation)

    def _seen(self, record: Mapping[str, Any]) -> Pledged:
        starts_at, ends_at = _instant(record["starts_at"]), _instant(record["ends_at"])
        now = self._clock.now()
        state = PledgeState.PENDING if now < starts_at else PledgeState.ACTIVE
        if record["broken"]:
            state = PledgeState.BROKEN
        elif ends_at <= now:
            state = PledgeState.OVER
        binding = {"record": "null"} if state is PledgeState.ACTIVE else {}
        return Pledged(
            state, record["revision"], starts_at, ends_at, "null", binding, "It exists as a record only."
        )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
