"""The fake cloud answers as the real one was seen to: its codes, its dates, its course of things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.keystone import USERS
from tests.openstack.fake.settings import running
from tests.support.doors import START, TestClock

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
Ask = Callable[..., requests.Response]


def at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


def hosts(count: int) -> dict[str, Any]:
    return {
        "resource_type": "physical:host",
        "min": count,
        "max": count,
        "resource_properties": "",
        "hypervisor_properties": "",
    }


def machines(amount: int, **values: Any) -> dict[str, Any]:
    own = {"vcpus": 4, "memory_mb": 8192, "disk_gb": 20, "affinity": None, "resource_properties": ""}
    return {"resource_type": "virtual:instance", "amount": amount, **own, **values}


def flavors(amount: int) -> dict[str, Any]:
    return {"resource_type": "flavor:instance", "flavor_id": "2", "amount": amount, "affinity": None}


def lease(*reservations: dict[str, Any], **values: Any) -> dict[str, Any]:
    dates = {"start_date": at(START + HOUR), "end_date": at(START + 2 * HOUR)}
    return {"name": "booking-0001", **dates, "events": [], "reservations": list(reservations), **values}


def token(cloud: FakeCloud, name: str, password: str = "") -> requests.Response:
    user = next(user for user in USERS if user.name == name)
    who = {"name": name, "domain": {"name": "Default"}, "password": password or user.password}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}
    return requests.post(f"{cloud.keystone.address}/identity/v3/auth/tokens", json=body, timeout=10)


@pytest.fixture
def cloud(clock: TestClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    """A fake cloud of this test, which moves by its clock; clouds.yaml names it."""
    with running(clock, tmp_path, monkeypatch) as cloud:
        yield cloud


@pytest.fixture
def ask(cloud: FakeCloud) -> Ask:
    """Ask Blazar, as `service` unless another user is named."""

    def ask(
        method: str, path: str, body: Any = None, user: str = "service", **more: Any
    ) -> requests.Response:
        headers = {"X-Auth-Token": token(cloud, user).headers["X-Subject-Token"]}
        url = f"{cloud.keystone.address}/reservation/v1{path}"
        return requests.request(method, url, json=body, headers=headers, timeout=10, **more)

    return ask


@pytest.mark.parametrize(
    "body, code, message",
    [
        (lease(hosts(5)), 500, "Not enough hosts available"),
        (lease(machines(17)), 500, "Not enough hosts available"),
        (lease(flavors(33)), 500, "Not enough hosts available"),
        (lease({"resource_type": "nope"}), 500, "The nope resource type is not supported"),
        (lease(hosts(1) | {"resource_properties": '["=", "$x", "y"]'}), 500, "BlazarDBNotFound: A database error"),
        (lease(hosts(1), name="n" * 81), 500, "Internal Server Error"),
        (lease(hosts(1), start_date=at(START - MINUTE)), 400, "Start date must be later"),
        (lease(hosts(1), end_date=at(START + HOUR)), 400, "End date must be later"),
        (lease(hosts(1), start_date="2030-01-07T10:00:00Z"), 400, "is an invalid date"),
        (lease(hosts(1), name=""), 400, "name is missing"),
        (lease(hosts(0)), 400, "malformed"),
        (lease({"resource_type": "physical:host", "min": 1}), 400, "max is missing"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_refused_has_the_code_that_was_seen(ask: Ask, body: Any, code: int, message: str) -> None:
    answer = ask("POST", "/leases", body)
    assert answer.status_code == code
    assert set(answer.json()) == {"error_code", "error_message", "error_name"}
    assert message in answer.json()["error_message"]
    assert ask("GET", "/leases").json() == {"leases": []}


def test_a_lease_is_told_in_naive_utc_with_events_in_any_order(ask: Ask) -> None:
    made = ask("POST", "/leases", lease(hosts(2)))
    assert made.status_code == 201
    told = made.json()["lease"]
    assert (told["status"], told["degraded"]) == ("PENDING", False)
    assert told["start_date"] == "2030-01-07T10:00:00.000000"
    assert told["created_at"] == "2030-01-07 09:00:00"
    orders = {
        tuple(event["event_type"] for event in ask("GET", f"/leases/{told['id']}").json()["lease"]["events"])
        for _ in range(40)
    }
    assert len(orders) > 1


def test_names_are_not_unique_and_a_lease_may_have_nothing(ask: Ask) -> None:
    for _ in range(2):
        assert ask("POST", "/leases", lease()).status_code == 201
    assert len(ask("GET", "/leases?name=other").json()["leases"]) == 2


def test_now_is_the_minute_that_has_begun(ask: Ask, clock: TestClock) -> None:
    clock.advance(59 * SECOND)
    told = ask("POST", "/leases", lease(hosts(1), start_date="now")).json()["lease"]
    assert told["start_date"] == "2030-01-07T09:00:00.000000"


def test_a_lease_starts_and_ends_some_seconds_after_the_minute(ask: Ask, clock: TestClock) -> None:
    made = ask("POST", "/leases", lease(hosts(1))).json()["lease"]
    seen = []
    for instant in (START + HOUR, *(START + HOUR + s * SECOND for s in (5, 10)), START + 2 * HOUR):
        clock.set(instant)
        seen.append(ask("GET", f"/leases/{made['id']}").json()["lease"]["status"])
    for seconds in (5, 20, 21):
        clock.set(START + 2 * HOUR + seconds * SECOND)
        seen.append(ask("GET", "/leases").json()["leases"][0]["status"])
    assert seen == ["PENDING", "STARTING", "ACTIVE", "ACTIVE", "TERMINATING", "TERMINATING", "TERMINATED"]


def test_what_is_at_work_cannot_be_deleted_and_what_is_gone_is_404(ask: Ask, clock: TestClock) -> None:
    made = ask("POST", "/leases", lease(hosts(1))).json()["lease"]
    clock.set(START + HOUR + 5 * SECOND)
    refused = ask("DELETE", f"/leases/{made['id']}")
    assert (refused.status_code, refused.json()["error_message"]) == (500, "Invalid lease status.")
    clock.set(START + HOUR + 10 * SECOND)
    assert ask("DELETE", f"/leases/{made['id']}").status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert ask(method, f"/leases/{made['id']}", {}).status_code == 404


def test_a_change_is_answered_with_what_is_stale(ask: Ask) -> None:
    made = ask("POST", "/leases", lease(hosts(2))).json()["lease"]
    answer = ask("PUT", f"/leases/{made['id']}", {"end_date": at(START + 3 * HOUR)})
    assert (answer.status_code, answer.json()["lease"]["status"]) == (200, "UPDATING")
    seen = ask("GET", f"/leases/{made['id']}").json()["lease"]
    assert (seen["status"], seen["end_date"]) == ("PENDING", "2030-01-07T12:00:00.000000")


def test_a_change_that_collides_leaves_the_lease_as_it_was(ask: Ask) -> None:
    made = ask("POST", "/leases", lease(hosts(2))).json()["lease"]
    rest = lease(hosts(4), start_date=at(START + 2 * HOUR), end_date=at(START + 3 * HOUR))
    assert ask("POST", "/leases", rest).status_code == 201
    answer = ask("PUT", f"/leases/{made['id']}", {"end_date": at(START + 3 * HOUR)})
    assert (answer.status_code, answer.json()["error_message"]) == (500, "Not enough hosts available")
    seen = ask("GET", f"/leases/{made['id']}").json()["lease"]
    assert (seen["status"], seen["end_date"]) == ("PENDING", made["end_date"])


def test_resizing_machines_takes_room_for_them_twice(ask: Ask) -> None:
    made = ask("POST", "/leases", lease(machines(9))).json()["lease"]
    fewer = {"reservations": [{"id": made["reservations"][0]["id"], "amount": 3}]}
    assert ask("PUT", f"/leases/{made['id']}", fewer).status_code == 500
    assert ask("GET", f"/leases/{made['id']}").json()["lease"]["status"] == "PENDING"


def test_resizing_flavors_breaks_the_lease(ask: Ask) -> None:
    made = ask("POST", "/leases", lease(flavors(1))).json()["lease"]
    more = {"reservations": [{"id": made["reservations"][0]["id"], "amount": 2}]}
    assert ask("PUT", f"/leases/{made['id']}", more).status_code == 409
    assert ask("GET", f"/leases/{made['id']}").json()["lease"]["status"] == "ERROR"
    assert ask("DELETE", f"/leases/{made['id']}").status_code == 204


def test_telling_active_machines_their_size_again_breaks_the_lease(ask: Ask, clock: TestClock) -> None:
    made = ask("POST", "/leases", lease(machines(1))).json()["lease"]
    clock.set(START + HOUR + MINUTE)
    same = {"reservations": [{"id": made["reservations"][0]["id"], "vcpus": 4}]}
    assert ask("PUT", f"/leases/{made['id']}", same).status_code == 409
    assert ask("GET", f"/leases/{made['id']}").json()["lease"]["status"] == "ERROR"


@pytest.mark.parametrize(
    "change, code",
    [
        ({"end_date": at(START - MINUTE)}, 400),
        ({"start_date": at(START - MINUTE)}, 400),
        ({"start_date": at(START + 3 * HOUR)}, 400),
        ({"reservations": [{"id": "nope", "min": 1, "max": 1}]}, 400),
        ({"name": "other"}, 200),
        ({"start_date": "now"}, 200),
    ],
    ids=str,
)
def test_changes_are_checked_as_blazar_does(ask: Ask, change: Any, code: int) -> None:
    made = ask("POST", "/leases", lease(hosts(1))).json()["lease"]
    assert ask("PUT", f"/leases/{made['id']}", change).status_code == code


def test_fewer_are_given_without_a_word_where_min_is_less_than_max(ask: Ask) -> None:
    ask("POST", "/leases", lease(hosts(3)))
    made = ask("POST", "/leases", lease(hosts(1) | {"max": 4})).json()["lease"]
    allocations = ask("GET", f"/os-hosts/allocations?lease_id={made['id']}").json()["allocations"]
    assert len(allocations) == 4
    assert [len(host["reservations"]) for host in allocations].count(1) == 1


def test_only_administrators_see_hosts_and_the_leases_of_others(ask: Ask) -> None:
    ask("POST", "/leases", lease(hosts(1)))
    for path in ("/os-hosts", "/os-hosts/allocations"):
        refused = ask("GET", path, user="tenant")
        assert refused.status_code == 403
        assert refused.json()["error_message"].startswith("Policy doesn't allow blazar:oshosts:get")
    assert ask("GET", "/leases", user="tenant").json() == {"leases": []}
    assert len(ask("GET", "/leases", user="admin").json()["leases"]) == 1


def test_malformed_json_and_a_stopped_manager_look_alike(ask: Ask, cloud: FakeCloud) -> None:
    malformed = ask("POST", "/leases", data="{")
    cloud.faults.is_manager_down = True
    down = ask("GET", "/leases")
    assert [answer.status_code for answer in (malformed, down)] == [500, 500]
    assert malformed.json() == down.json()


def test_bad_tokens_and_passwords_are_401(cloud: FakeCloud) -> None:
    url = f"{cloud.keystone.address}/reservation/v1/leases"
    answer = requests.get(url, headers={"X-Auth-Token": "nope"}, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 401)
    assert token(cloud, "service", "wrong").status_code == 401
    told = token(cloud, "service").json()["token"]
    assert {entry["type"] for entry in told["catalog"]} == {
        "compute",
        "container-infra",
        "identity",
        "image",
        "placement",
        "reservation",
    }
