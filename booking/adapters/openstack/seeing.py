"""Leases in the words of the port: what is seen of ours, and what others have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from booking.adapters.base import Pledged, PledgeState, Stranger
from booking.adapters.openstack.leases import ACTIVE, ERROR, PENDING, TERMINATED, Lease, Leases, Taken
from booking.adapters.openstack.shapes import HEAD, HOSTS, ROLES, WORKERS, Size, is_machine, machine_part

_STATES = {
    PENDING: PledgeState.PENDING,
    ACTIVE: PledgeState.ACTIVE,
    TERMINATED: PledgeState.OVER,
    ERROR: PledgeState.BROKEN,
}
_RANKS = (
    PledgeState.ACTIVE,
    PledgeState.PENDING,
    PledgeState.CHANGING,
    PledgeState.BROKEN,
    PledgeState.OVER,
    PledgeState.ABSENT,
)
_NOTHING = Size(0, 0)


def state(lease: Lease) -> PledgeState:
    """One that lacks hosts is broken as long as it is not over; what is not stable is changing."""
    found = _STATES.get(lease.status, PledgeState.CHANGING)
    return PledgeState.BROKEN if lease.lacks and found is not PledgeState.OVER else found


def seen(lease: Lease) -> Pledged:
    """A lease of ours, whose name has been read."""
    return Pledged(
        state=state(lease),
        revision=lease.tag.revision if lease.tag else 0,
        starts_at=lease.starts_at,
        ends_at=lease.ends_at,
        reference=lease.id,
        binding=_binding(lease),
        detail=_detail(lease),
    )


def best(leases: Iterable[Lease]) -> Lease:
    """The one that counts where a reservation has several: what works, then the newest revision, then the oldest."""
    return min(
        leases,
        key=lambda lease: (
            _RANKS.index(state(lease)),
            -(lease.tag.revision if lease.tag else 0),
            lease.created_at,
            lease.id,
        ),
    )


def strangers(leases: Leases, ours: str, now: datetime) -> tuple[Stranger, ...]:
    """What is reserved now or later by leases that installation `ours` did not make; one entry a lease."""
    listed = {lease.id: lease for lease in leases.all()}
    taken: dict[str, list[Taken]] = defaultdict(list)
    for entry in leases.taken():
        if entry.ends_at > now:
            taken[entry.lease_id].append(entry)
    sizes = {str(host["id"]): _size_of_host(host) for host in leases.hosts()}
    found = []
    for lease_id, entries in sorted(taken.items()):
        lease = listed.get(lease_id)
        if lease is None or lease.tag is None or lease.tag.installation != ours:
            size, first = _size(lease, entries, sizes), entries[0]
            owner, name = (lease.owner, lease.name) if lease else ("", "")
            amounts = size.cores, size.memory_mib
            found.append(Stranger(lease_id, first.starts_at, first.ends_at, *amounts, owner, name))
    return tuple(found)


def _size(lease: Lease | None, entries: list[Taken], sizes: Mapping[str, Size]) -> Size:
    """Machines count as they are reserved; whole hosts, and what we may not read, as the hosts are."""
    parts = lease.reservations if lease else ()
    machines = [machine_part(part) for part in parts if is_machine(part)]
    memory = sum(part.size.memory_mib * part.amount for part in machines)
    cores = sum(part.size.cores * part.amount for part in machines)
    if lease is None or any(part.get("resource_type") == HOSTS for part in parts):
        hosts = [sizes.get(host, _NOTHING) for host in {entry.host_id for entry in entries}]
        memory += sum(host.memory_mib for host in hosts)
        cores += sum(host.cores for host in hosts)
    return Size(memory, cores)


def _size_of_host(host: Mapping[str, object]) -> Size:
    return Size(int(str(host["memory_mb"])), int(str(host["vcpus"])))


def _binding(lease: Lease) -> dict[str, str]:
    parts = lease.reservations
    if any(part.get("resource_type") == HOSTS for part in parts):
        return {"reservation": parts[0]["id"]}
    if not parts or len(parts) > len(ROLES):
        return {}
    by_size = sorted(parts, key=lambda part: machine_part(part).size)
    smaller, larger = by_size[0]["id"], by_size[-1]["id"]
    head_is_larger = lease.tag is not None and lease.tag.larger == HEAD
    head, workers = (larger, smaller) if head_is_larger else (smaller, larger)
    return {ROLES[HEAD]: head, ROLES[WORKERS]: workers}


def _detail(lease: Lease) -> str:
    if lease.status == ERROR:
        return f"Blazar's lease {lease.name} is in error."
    if lease.lacks:
        return f"Hosts of Blazar's lease {lease.name} have failed, and there are no others."
    return f"Blazar's lease {lease.name} is {lease.status.lower()}."
