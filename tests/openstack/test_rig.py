"""The rig is what it claims to be: real services that reserve, refuse, start, stall and end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from blazarclient.client import Client
from keystoneauth1.exceptions import ConnectTimeout
from openstack.exceptions import BadRequestException

from tests.adapters.waiting import eventually
from tests.openstack.rig import catalog
from tests.openstack.rig.cloud import Cloud
from tests.openstack.rig.layout import TREE
from tests.openstack.rig.processes import living_in

LOOKS = 3000
"""Five minutes: what waits for Blazar's clock, on a machine with much else to do."""


@pytest.fixture
def service(cloud: Cloud) -> Iterator[Any]:
    """As the product; its leases are gone afterwards."""
    with cloud.connection("service") as connection:
        yield connection
        for lease in leases(connection):
            connection.reservation.delete(f"/leases/{lease['id']}")


def leases(connection: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = connection.reservation.get("/leases").json()["leases"]
    return found


def lease(connection: Any, reservation: dict[str, Any], start: str, end: str, name: str = "test") -> Any:
    """What Blazar answers to a wish."""
    values = {"name": name, "start_date": start, "end_date": end, "events": [], "reservations": [reservation]}
    return connection.reservation.post("/leases", json=values)


def hosts(number: int) -> dict[str, Any]:
    wanted = {"resource_type": "physical:host", "min": number, "max": number}
    return wanted | {"hypervisor_properties": "", "resource_properties": ""}


def instances(cores: int, memory_mib: int, amount: int) -> dict[str, Any]:
    wanted = {"resource_type": "virtual:instance", "vcpus": cores, "memory_mb": memory_mib, "disk_gb": 5}
    return wanted | {"amount": amount, "affinity": None, "resource_properties": ""}


def minutes(number: int) -> str:
    """An instant as Blazar reads it."""
    return f"{datetime.now(UTC) + timedelta(minutes=number):%Y-%m-%d %H:%M}"


def far(day: int) -> tuple[str, str]:
    """An hour that no other test looks at."""
    return minutes(day * 1440), minutes(day * 1440 + 60)


def test_a_lease_far_ahead_is_pending_and_its_hosts_are_told(cloud: Cloud, service: Any) -> None:
    answer = lease(service, hosts(2), *far(10))
    assert answer.status_code == 201, answer.text
    made = answer.json()["lease"]
    assert made["status"] == "PENDING"
    told = service.reservation.get("/os-hosts/allocations").json()["allocations"]
    allocated = [host for host in told if any(r["lease_id"] == made["id"] for r in host["reservations"])]
    assert len(allocated) == 2
    assert len(service.reservation.get("/os-hosts").json()["hosts"]) == cloud.reservable_hosts


def test_more_hosts_than_there_are_is_an_error_of_the_server(cloud: Cloud, service: Any) -> None:
    answer = lease(service, hosts(cloud.reservable_hosts + 1), *far(11))
    assert (answer.status_code, answer.json()["error_message"]) == (500, "Not enough hosts available")
    assert leases(service) == []


def test_names_are_not_unique(service: Any) -> None:
    client = Client(session=service.session, service_type="reservation", region_name="RegionOne")
    start, end = far(12)
    made = [client.lease.create("twice", start, end, [hosts(1)], []) for _ in range(2)]
    assert made[0]["id"] != made[1]["id"]
    assert [lease["name"] for lease in client.lease.list()] == ["twice", "twice"]


def test_the_two_kinds_of_instances_do_not_share_hosts(cloud: Cloud, service: Any) -> None:
    flavor = service.compute.find_flavor("small", ignore_missing=False)
    wanted = {"resource_type": "flavor:instance", "flavor_id": flavor.id, "amount": 1, "affinity": None}
    first = lease(service, wanted, *far(14))
    assert first.status_code == 201, first.text
    whole = instances(64, 200_000, cloud.reservable_hosts)
    assert lease(service, whole, *far(14)).status_code == 500
    assert lease(service, whole, *far(15)).status_code == 201


def test_a_member_sees_no_hosts(cloud: Cloud) -> None:
    with cloud.connection("tenant") as tenant:
        assert tenant.reservation.get("/os-hosts/allocations").status_code == 403
        assert tenant.reservation.get("/leases").json() == {"leases": []}


def test_a_lease_that_starts_now_becomes_active_and_a_server_runs_on_its_flavor(service: Any) -> None:
    made = lease(service, instances(4, 8192, 1), "now", minutes(30)).json()["lease"]

    def status() -> str:
        return str(service.reservation.get(f"/leases/{made['id']}").json()["lease"]["status"])

    eventually(lambda: status() == "ACTIVE", looks=LOOKS)
    flavor = made["reservations"][0]["id"]
    assert server(service, flavor).status == "ACTIVE"
    assert server(service, flavor).status == "ERROR", "a second one on a lease of one"
    service.reservation.delete(f"/leases/{made['id']}")
    assert list(service.compute.servers()) == [], "Blazar ends what runs on a lease"


def server(connection: Any, flavor: str) -> Any:
    """A server without networks, as soon as it is decided what becomes of it."""
    image = connection.image.find_image(catalog.IMAGE, ignore_missing=False)
    made = connection.compute.create_server(
        name="server", flavor_id=flavor, image_id=image.id, networks="none"
    )

    def decided() -> Any:
        seen = connection.compute.get_server(made.id)
        return seen if seen.status != "BUILD" else None

    return eventually(decided)


def test_a_server_without_a_lease_runs_on_the_host_that_blazar_does_not_have(cloud: Cloud) -> None:
    with cloud.connection("admin") as admin:
        made = server(admin, admin.compute.find_flavor("tiny", ignore_missing=False).id)
        assert (made.status, made.compute_host) == ("ACTIVE", f"node-{cloud.hosts:03d}")
        admin.compute.delete_server(made)
        admin.compute.wait_for_delete(made)


def test_a_cluster_is_made_of_servers_and_deleted(service: Any) -> None:
    magnum = service.container_infrastructure_management
    template = magnum.find_cluster_template(catalog.TEMPLATE, ignore_missing=False)
    made = magnum.create_cluster(name="cluster", cluster_template_id=template.id, node_count=2)

    def status() -> str:
        # Its row is written after the answer; and while one is deleted, the list may answer with an error.
        try:
            return " ".join(cluster.status for cluster in magnum.clusters() if cluster.id == made.id)
        except BadRequestException:
            return "between"

    def made_or_not() -> str:
        seen = status()
        return seen if seen in {"CREATE_COMPLETE", "CREATE_FAILED"} else ""

    assert eventually(made_or_not, looks=LOOKS) == "CREATE_COMPLETE"
    assert len(list(service.compute.servers())) == 3, "a master and two nodes, in the project of the cluster"
    magnum.delete_cluster(made.id)
    eventually(lambda: status() == "", looks=LOOKS)
    eventually(lambda: not list(service.compute.servers()))


def test_a_process_that_stands_still_goes_on(cloud: Cloud, service: Any) -> None:
    api = cloud.process("blazar-api")
    api.stop()
    try:
        with pytest.raises(ConnectTimeout):
            service.reservation.get("/leases", timeout=1)
    finally:
        api.go_on()
    assert leases(service) == []


def test_a_killed_process_starts_again(cloud: Cloud, service: Any) -> None:
    api = cloud.process("blazar-api")
    api.kill()
    assert not api.runs
    api.start_again()
    assert leases(service) == []


class Refusing(BaseHTTPRequestHandler):
    """Says no, as Blazar wants to be told; Blazar makes a 400 of it, with the same words."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        words = f"{self.path} {self.headers['X-Auth-Token']} {asked['lease']['name']}"
        self.send_response(403)
        self.end_headers()
        self.wfile.write(json.dumps({"message": f"no: {words}"}).encode())


@pytest.fixture
def refusing(cloud: Cloud) -> Iterator[None]:
    """A service that Blazar asks, and that refuses everything."""
    port = urlsplit(cloud.asked_at).port
    assert port
    with ThreadingHTTPServer(("127.0.0.1", port), Refusing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        cloud.restart_blazar(external_url=cloud.asked_at, token="secret")
        yield
        cloud.restart_blazar()
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("refusing")
def test_blazar_asks_whoever_it_is_told_to(service: Any) -> None:
    answer = lease(service, hosts(1), *far(13))
    assert (answer.status_code, answer.json()["error_message"]) == (400, "no: /check-create secret test")
    assert leases(service) == []


SMALL = """
import sys, time
from pathlib import Path
from tests.openstack.rig import servers, services
from tests.openstack.rig.cloud import Cloud
from tests.openstack.rig.layout import Layout

layout = Layout(Path(sys.argv[1]))
layout.write()
cloud = Cloud(layout, 0, 0)
cloud.start(servers.epmd(layout)).await_answer()
cloud.start(servers.rabbitmq(layout)).await_answer()
cloud.start(servers.mariadb(layout)).await_answer()
cloud.start(services.web(layout, "neutron")).await_answer()
print("runs", flush=True)
if sys.argv[2] == "close":
    cloud.close()
else:
    time.sleep(600)
"""
"""A few of the processes, of each kind, without the services that take long to start."""


def test_nothing_is_left_after_the_end(tmp_path: Path) -> None:
    with small(tmp_path, "close") as process:
        process.wait(120)
        assert process.returncode == 0
    assert living_in(tmp_path) == []


def test_nothing_is_left_after_the_test_run_was_killed(tmp_path: Path) -> None:
    with small(tmp_path, "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        assert len(living_in(tmp_path)) >= 4
    eventually(lambda: living_in(tmp_path) == [])


@contextmanager
def small(folder: Path, what: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run that is killed at the end, if it has not ended by then."""
    words = [sys.executable, "-c", SMALL, str(folder / "rig"), what]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=TREE) as process:
        try:
            yield process
        finally:
            process.kill()
