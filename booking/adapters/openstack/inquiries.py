"""What Blazar's ExternalServiceFilter asks about a lease, before it makes, changes or ends it.

The form is that of Blazar 18, `blazar/enforcement/filters/external_service_filter.py`: `lease` holds the values
of the lease with its reservations, and these, as `allocations`, the hosts that Blazar would give them. A
change comes with `current_lease` beside it, and `lease` then holds only what is asked for anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from booking.adapters.base import Inquiry, Stranger
from booking.adapters.openstack.naming import Tag, heard
from booking.adapters.openstack.shapes import Size

_MOST = 10**9
"""Cores or MiB of one lease; more is a mistake."""
_LONGEST = 255


def inquiry(asked: Mapping[str, Any], ours: str) -> Inquiry:
    """What is asked, in the words of the port; leases that installation `ours` named are for its reservations.

    Machines count with their own size, where it is told. Of machines of a flavor Blazar tells the name alone: they
    count as the whole hosts that it would give them, until the lease is read.

    :raises ValueError: if it is not what Blazar sends.
    """
    try:
        before, lease = asked.get("current_lease") or {}, asked["lease"]
        values = {**before, **lease}
        parts = values["reservations"]
        tag = Tag.read(name := _text(values, "name"))
        size = _bounded(_sum(_bounded(_size(part, _known(part, before))) for part in parts))
        return Inquiry(
            Stranger(
                reference=_text(values, "id") if before or "id" in lease else "",
                starts_at=heard(values["start_date"]),
                ends_at=heard(values["end_date"]),
                cores=size.cores,
                memory_mib=size.memory_mib,
                owner=_text(values, "project_id"),
                name=name,
            ),
            reservation_id=tag.reservation_id if tag and tag.installation == ours else "",
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"it is no lease of Blazar ({type(error).__name__}: {error})") from None


def _text(values: Mapping[str, Any], name: str) -> str:
    text = values[name]
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isprintable():
        raise ValueError(f"{name} must be one line of at most {_LONGEST} characters")
    return text


def _known(part: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same reservation as it was; whoever changes one names what differs only."""
    same = (one for one in before.get("reservations") or () if one.get("id") == part.get("id"))
    return next(same, {})


def _size(part: Mapping[str, Any], before: Mapping[str, Any]) -> Size:
    told = {**before, **part}
    if "vcpus" in told and "memory_mb" in told and "amount" in told:
        amount = int(told["amount"])
        return Size(int(told["memory_mb"]) * amount, int(told["vcpus"]) * amount)
    hosts = [Size(int(host["memory_mb"]), int(host["vcpus"])) for host in told.get("allocations") or ()]
    wanted = part.get("max", part.get("amount"))
    if wanted is None or int(wanted) == len(hosts):
        return _sum(hosts)
    # Blazar gives the hosts of the last reservation of a kind with each of them, and the old ones with a change.
    largest = max(hosts, default=Size(0, 0))
    return Size(
        largest.memory_mib * int(wanted), max((host.cores for host in hosts), default=0) * int(wanted)
    )


def _sum(sizes: Iterable[Size]) -> Size:
    found = list(sizes)
    return Size(sum(size.memory_mib for size in found), sum(size.cores for size in found))


def _bounded(size: Size) -> Size:
    if not (0 <= size.cores <= _MOST and 0 <= size.memory_mib <= _MOST):
        raise ValueError(f"it has negative amounts, or more than {_MOST}")
    return size
