"""What Blazar's filter sends, read: the bodies are cut from what a Blazar 18 sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from booking.adapters.base import Inquiry, Stranger
from booking.adapters.openstack.inquiries import inquiry
from booking.adapters.openstack.naming import Tag, fingerprint

OURS = fingerprint("here")
FROM, UNTIL = datetime(2030, 1, 8, 10, tzinfo=UTC), datetime(2030, 1, 8, 12, tzinfo=UTC)


def host(number: int, vcpus: int = 64, memory_mb: int = 262144) -> dict[str, Any]:
    return {
        "id": str(number),
        "hypervisor_hostname": f"node-{number}",
        "vcpus": vcpus,
        "memory_mb": memory_mb,
        "cpu_info": "{}",
    }


def hosts(count: int, *given: int, **more: Any) -> dict[str, Any]:
    return {
        "resource_type": "physical:host",
        "min": count,
        "max": count,
        "count_range": f"{count}-{count}",
        "allocations": [host(number) for number in given],
    } | more


def machines(amount: Any, **more: Any) -> dict[str, Any]:
    return {
        "resource_type": "virtual:instance",
        "vcpus": 2,
        "memory_mb": 4096,
        "disk_gb": 10,
        "amount": amount,
        "affinity": None,
        "allocations": [host(1)],
    } | more


def asked(*reservations: Any, **more: Any) -> dict[str, Any]:
    lease = {
        "name": "run",
        "start_date": "2030-01-08T10:00:00",
        "end_date": "2030-01-08T12:00:00",
        "user_id": "someone",
        "project_id": "astro",
        "status": "CREATING",
        "reservations": list(reservations),
    }
    return {"context": {"user_id": "someone", "project_id": "astro"}, "lease": lease | more}


def wanted(cores: int, memory_mib: int) -> Inquiry:
    return Inquiry(Stranger("", FROM, UNTIL, cores, memory_mib, owner="astro", name="run"))


@pytest.mark.parametrize(
    "reservations, cores, memory_mib",
    [
        ([hosts(2, 1, 2)], 128, 524288),
        ([machines(3)], 6, 12288),
        ([machines("3", vcpus="2", memory_mb="4096")], 6, 12288),
        ([machines(3), hosts(1, 4)], 70, 274432),
        # Of two parts of one kind Blazar tells the hosts of the last with both.
        ([hosts(3, 1), hosts(1, 1)], 256, 1048576),
        # Of machines of a flavor, the hosts where they would run.
        ([{"resource_type": "flavor:instance", "flavor_id": "f", "amount": 2, "allocations": [host(1), host(2)]}], 128, 524288),
        ([{"resource_type": "flavor:instance", "flavor_id": "f", "amount": 1, "allocations": [host(1)]}], 64, 262144),
        ([], 0, 0),
    ],
)  # fmt: skip
def test_a_lease_counts_as_what_it_asks_for(
    reservations: list[dict[str, Any]], cores: int, memory_mib: int
) -> None:
    assert inquiry(asked(*reservations), OURS) == wanted(cores, memory_mib)


def test_a_change_is_what_there_is_with_what_is_asked_for_anew() -> None:
    current = asked(machines(2, id="r1"), hosts(1, 4, id="r2"), id="lease-1")["lease"]
    later = {"end_date": "2030-01-08T13:30:00", "start_date": "2030-01-08T10:00:00"}
    same = current["reservations"]
    found = inquiry({"current_lease": current, "lease": later | {"reservations": same}}, OURS).wanted
    assert (found.reference, found.name, found.cores, found.memory_mib) == ("lease-1", "run", 68, 270336)
    assert found.ends_at == datetime(2030, 1, 8, 13, 30, tzinfo=UTC)
    # Whoever changes one names what differs.
    fewer = [{"id": "r1", "amount": 5, "resource_type": "virtual:instance", "allocations": [host(1)]}]
    found = inquiry({"current_lease": current, "lease": later | {"reservations": fewer}}, OURS).wanted
    assert (found.cores, found.memory_mib) == (10, 20480)


def test_a_lease_that_ends_has_its_id() -> None:
    assert inquiry(asked(hosts(1, 1), id="lease-1"), OURS).wanted.reference == "lease-1"


@pytest.mark.parametrize("installation, ours", [("here", "abcdefgh12"), ("elsewhere", "")])
def test_a_name_tells_whose_it_is(installation: str, ours: str) -> None:
    name = Tag("abcdefgh12", 3, fingerprint(installation)).name()
    assert inquiry(asked(hosts(1, 1), name=name), OURS).reservation_id == ours


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lease": None},
        {"lease": []},
        {"lease": "x"},
        asked(None),
        asked("x"),
        asked({"allocations": [None]}),
        asked({"allocations": 5}),
        asked(machines("many")),
        asked(machines(1e400)),
        asked(machines(None)),
        asked(machines(10**9)),
        asked(machines(2), machines(-1)),
        asked(hosts(10**12, 1)),
        asked(name=5),
        asked(name="x" * 256),
        asked(name="two\nlines"),
        asked(project_id=None),
        asked(start_date=None),
        asked(start_date="soon"),
        asked(reservations=5),
        asked(reservations=None),
        asked(id=5),
        {"current_lease": 5, "lease": {}},
        {"current_lease": {"id": "x", "reservations": [5]}, **asked(machines(1, id="r"))},
    ],
    ids=lambda body: str(body)[-60:],
)
def test_what_is_no_lease_of_blazar_is_a_value_error(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        inquiry(body, OURS)
