"""What the user of a cluster on this machine gets, and what hostile code there cannot do."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from booking.adapters.base import ClusterState, Observed
from booking.adapters.local.containment import Containment
from booking.adapters.local.provisioner import LocalProvisioner
from tests.adapters.contract import NO_GRACE, OTHER, RESERVATION
from tests.adapters.machine import LocalOutside, identities, running
from tests.adapters.notebook import Notebook
from tests.adapters.waiting import eventually

# One process runs them all: they share a cluster.
pytestmark = [pytest.mark.clusters, pytest.mark.xdist_group("cluster")]

GRACE = timedelta(seconds=2)
SECRET = "nobody may read this"
HOSTILE = """
import os, subprocess, sys
stay = '''
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
os.chdir("/")
while True:
    signal.pause()
'''
for prefix in ([], ["setsid", "-f"], ["setsid", "-f", "env", "-i"], ["setsid", "-f", "setsid", "-f", "env", "-i"]):
    subprocess.Popen([*prefix, sys.executable, "-c", stay, "{mark}"], start_new_session=True)
headless = '''
import ctypes, threading, time  # not signal.pause: that is for the first thread alone
threading.Thread(target=time.sleep, args=(9999,)).start()
ctypes.CDLL(None).pthread_exit(None)
'''
subprocess.Popen([sys.executable, "-c", headless, "{mark}"], start_new_session=True)
"""
HOSTILE_PROCESSES = 5


class Cluster:
    """A ready cluster with one worker, and its owner's means."""

    def __init__(self, outside: LocalOutside) -> None:
        self.outside = outside
        self.provisioner: LocalProvisioner = outside.provisioner()
        self.spec = replace(outside.spec(), worker_count=1, notebook_url="https://example.org/a b.ipynb")

    def start(self) -> Observed:
        self.provisioner.provision(self.spec)
        return self.outside.wait_for(self.provisioner, RESERVATION, ClusterState.READY)

    @property
    def observed(self) -> Observed:
        return self.provisioner.observe(RESERVATION)

    @property
    def token(self) -> str:
        return self.provisioner.credentials(RESERVATION)["notebook"]

    def notebook(self) -> Notebook:
        return Notebook(self.observed, self.token)

    def url(self, name: str) -> str:
        (url,) = (endpoint.url for endpoint in self.observed.endpoints if endpoint.name == name)
        return url


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests that only look, made by a service that knows secrets."""
    home = tmp_path_factory.mktemp("home")
    (home / "secret.key").write_text(SECRET)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "booking.db"
    elsewhere.write_text(SECRET)
    outside = LocalOutside(home, hide=(elsewhere, Path(__file__)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOKING_SECRET_KEY", SECRET)
        patch.setenv("BOOKING_DATABASE_URL", f"postgresql://booking:{SECRET}@db/booking")
        cluster = Cluster(outside)
        try:
            cluster.start()
            yield cluster
        finally:
            outside.clear()


def test_a_notebook_uses_its_cluster_without_knowing_an_address(cluster: Cluster) -> None:
    with cluster.notebook() as notebook:
        outcome = notebook.run(
            "from distributed import Client\nclient = Client()\nclient.submit(sum, range(1000)).result()"
        )
    assert (outcome.text, outcome.error) == ("499500", "")


def test_the_workers_have_the_booked_size(cluster: Cluster) -> None:
    with cluster.notebook() as notebook:
        outcome = notebook.run(
            "from distributed import Client\n"
            "client = Client()\n"
            "info = client.scheduler_info(n_workers=-1)['workers'].values()\n"
            "print([(worker['nthreads'], worker['memory_limit'] // 2**20) for worker in info])"
        )
    assert outcome.text.strip() == "[(1, 512)]"


def test_the_notebook_knows_what_was_booked(cluster: Cluster) -> None:
    names = [
        "BOOKING_ID",
        "BOOKING_RESERVATION",
        "BOOKING_PACKAGE",
        "BOOKING_UNTIL",
        "BOOKING_NOTEBOOK_CORES",
        "BOOKING_NOTEBOOK_MEMORY_MIB",
        "BOOKING_WORKER_CORES",
        "BOOKING_WORKER_MEMORY_MIB",
        "BOOKING_WORKER_COUNT",
        "BOOKING_NOTEBOOK_URL",
        "BOOKING_SCHEDULER",
        "CPU_LIMIT",
        "MEM_LIMIT",
    ]
    with cluster.notebook() as notebook:
        told = notebook.run(f"import os\nfor name in {names}: print(os.environ[name])").text.splitlines()
    until = cluster.spec.ends_at.isoformat().replace("+00:00", "Z")
    assert told == [
        *("contract0booking", RESERVATION, "small", until, "1", "1024", "1", "512", "1"),
        "https://example.org/a b.ipynb",
        cluster.url("scheduler"),
        *("1", str(1024 * 1024 * 1024)),
    ]


def test_an_extension_is_told_to_the_notebook(cluster: Cluster) -> None:
    later = cluster.spec.ends_at + timedelta(minutes=30)
    cluster.provisioner.extend(RESERVATION, later)
    text = later.isoformat().replace("+00:00", "Z")
    with cluster.notebook() as notebook:
        read = "import os, pathlib\nprint(pathlib.Path(os.environ['BOOKING_UNTIL_FILE']).read_text())"
        eventually(lambda: notebook.run(read).text.strip() == text, looks=50)
    cluster.provisioner.extend(RESERVATION, cluster.spec.ends_at)


def test_no_secret_of_the_service_is_in_any_environment(cluster: Cluster) -> None:
    (guardian,) = identities(cluster.outside.folder(RESERVATION))
    family = [psutil.Process(guardian.pid), *psutil.Process(guardian.pid).children(recursive=True)]
    assert len(family) >= 5
    for process in family:
        assert SECRET not in str(process.environ())
        assert SECRET not in str(process.cmdline())


def test_the_service_and_other_clusters_cannot_be_seen(cluster: Cluster) -> None:
    other = cluster.outside.spec(OTHER)
    cluster.provisioner.provision(other)
    home = cluster.outside.home
    with cluster.notebook() as notebook:
        seen = notebook.run(
            "import os\n"
            f"print(os.listdir({str(home)!r}), os.listdir({str(home / 'workspaces')!r}))\n"
            f"print(os.listdir({str(cluster.outside.folder(RESERVATION))!r}), os.listdir('/run'))"
        )
        guardian = notebook.run("import os\nos.listdir('/proc/1/cwd')")
        disks = notebook.run("import os\nprint(sorted(os.listdir('/dev')))")
        hidden = notebook.run(f"print(len(open({__file__!r}).read()))")
    cluster.provisioner.teardown(OTHER, grace=NO_GRACE)
    cluster.outside.wait_for(cluster.provisioner, OTHER, ClusterState.ABSENT)
    assert seen.text.split("\n")[:2] == [f"['workspaces'] ['bk-{RESERVATION}']", "['inside'] []"]
    assert guardian.error.startswith("PermissionError")
    assert hidden.text == "0\n"
    assert "sda" not in disks.text
    assert "vda" not in disks.text


def test_only_the_own_folder_can_be_written(cluster: Cluster) -> None:
    probe = (
        "import os, pathlib\n"
        "for folder in ('.', '/tmp', '/dev/shm', '/etc', os.path.dirname(os.__file__), '/proc/sys/kernel'):\n"
        "    try:\n"
        "        pathlib.Path(folder, 'core_pattern').write_text('x')\n"
        "        print('written')\n"
        "    except OSError as error:\n"
        "        print(error.strerror)"
    )
    with cluster.notebook() as notebook:
        written = notebook.run(probe).text.splitlines()
        again = notebook.run(
            "import subprocess\nsubprocess.run(['mount', '-o', 'remount,rw', '/']).returncode"
        )
    assert written == ["written"] * 3 + ["Read-only file system"] * 3
    assert again.text != "0"


def test_user_code_has_no_privilege_left(cluster: Cluster) -> None:
    with cluster.notebook() as notebook:
        status = notebook.run("print(open('/proc/self/status').read())").text
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == "1"


def test_the_number_of_programs_is_bounded(cluster: Cluster) -> None:
    with cluster.notebook() as notebook:
        most = notebook.run("import resource\nresource.getrlimit(resource.RLIMIT_NPROC)").text
    assert most == "(4096, 4096)"


def test_the_notebook_server_refuses_whoever_has_no_token(cluster: Cluster) -> None:
    url = f"{cluster.url('notebook')}api/kernels"
    assert requests.get(url, timeout=10).status_code == 403
    assert requests.get(url, params={"token": "guessed"}, timeout=10).status_code == 403
    known = requests.get(url, headers={"Authorization": f"token {cluster.token}"}, timeout=10)
    assert known.status_code == 200


def test_the_address_with_the_token_opens_the_welcome_page(cluster: Cluster) -> None:
    page = requests.get(cluster.url("notebook"), params={"token": cluster.token}, timeout=30)
    assert page.status_code == 200
    assert urlsplit(page.url).path == f"/booking/{RESERVATION}/lab/tree/Welcome.ipynb"


def test_the_welcome_notebook_runs_and_shows_what_was_asked_for(cluster: Cluster) -> None:
    answer = requests.get(
        f"{cluster.url('notebook')}api/contents/Welcome.ipynb",
        headers={"Authorization": f"token {cluster.token}"},
        timeout=10,
    )
    cells = answer.json()["content"]["cells"]
    text = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "markdown")
    first = next(cell["source"] for cell in cells if cell["cell_type"] == "code")
    with cluster.notebook() as notebook:
        assert notebook.run(first).text == "499500"
    assert "**small**" in text
    assert "(https://example.org/a%20b.ipynb)" in text


def test_the_scheduler_refuses_whoever_has_no_key(cluster: Cluster) -> None:
    parts = urlsplit(cluster.url("scheduler"))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection((parts.hostname, parts.port), timeout=10)
    with plain, pytest.raises(ssl.SSLError), context.wrap_socket(plain) as stranger:
        stranger.recv(1)


def test_everything_listens_on_the_loopback_address_only(cluster: Cluster) -> None:
    (guardian,) = identities(cluster.outside.folder(RESERVATION))
    with cluster.notebook() as notebook:
        notebook.run("from distributed import Client\nclient = Client()")
        family = psutil.Process(guardian.pid).children(recursive=True)
        listening = [
            connection.laddr.ip
            for process in family
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    assert len(listening) >= 4
    assert set(listening) == {"127.0.0.1"}


def test_a_program_that_takes_too_much_memory_gets_an_error(cluster: Cluster) -> None:
    with cluster.notebook() as notebook:
        assert notebook.run("hog = bytearray(2 * 2**30)").error.startswith("MemoryError")


def test_programs_that_together_take_too_much_memory_are_ended_with_a_message(cluster: Cluster) -> None:
    hog = "import signal; hog = bytearray(500 * 2**20); signal.pause()"
    with cluster.notebook() as notebook:
        notebook.run(
            "import subprocess, sys\n"
            f"hogs = [subprocess.Popen([sys.executable, '-c', {hog!r}]) for _ in range(2)]"
        )
        detail = eventually(lambda: cluster.observed.detail if "MiB" in cluster.observed.detail else "")
        notice = notebook.run("print(open('NOTICES.txt').read())").text
        notebook.run("for each in hogs: each.kill(); each.wait()")
    assert "The notebook used" in detail
    assert "1024 MiB are booked" in detail
    # One of them, or both where both are seen at once; never more than there are.
    assert re.search(r"python \(\d+ MiB\) (was|and 1 more were) ended\.", notice), notice


@pytest.fixture(params=[None, Containment.SUBREAPER], ids=["strongest", "subreaper"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of this test alone, in each containment, with hostile programs in it."""
    outside = LocalOutside(tmp_path / "home", containment=request.param)
    cluster = Cluster(outside)
    try:
        cluster.start()
        with cluster.notebook() as notebook:
            assert notebook.run(HOSTILE.replace("{mark}", _mark(cluster))).error == ""
        eventually(lambda: len(running(_mark(cluster), "signal.pause")) == HOSTILE_PROCESSES)
        yield cluster
    finally:
        outside.clear()


def _mark(cluster: Cluster) -> str:
    return f"hostile-{cluster.outside.home}"


def test_hostile_programs_are_gone_after_teardown(own: Cluster) -> None:
    ports = [urlsplit(endpoint.url).port for endpoint in own.observed.endpoints]
    own.provisioner.teardown(RESERVATION, grace=GRACE)
    own.outside.wait_for(own.provisioner, RESERVATION, ClusterState.ABSENT)
    assert running(str(own.outside.home)) == []
    assert not own.outside.folder(RESERVATION).exists()
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)


def test_hostile_programs_are_gone_after_the_guardian_was_killed(own: Cluster) -> None:
    (guardian,) = identities(own.outside.folder(RESERVATION))
    os.kill(guardian.pid, signal.SIGKILL)
    eventually(lambda: running(_mark(own)) == [])
    own.outside.wait_for(own.provisioner, RESERVATION, ClusterState.LOST)
    own.provisioner.teardown(RESERVATION, grace=GRACE)
    assert own.observed.state is ClusterState.ABSENT
    assert running(str(own.outside.home)) == []


@pytest.mark.spark
def test_a_notebook_uses_its_spark_cluster_without_knowing_an_address(tmp_path: Path) -> None:
    outside = LocalOutside(tmp_path / "home", engine="spark")
    cluster = Cluster(outside)
    cluster.spec = replace(cluster.spec, worker_memory_mib=1024)
    try:
        cluster.start()
        with cluster.notebook() as notebook:
            outcome = notebook.run(
                "from pyspark.sql import SparkSession\n"
                "spark = SparkSession.builder.getOrCreate()\n"
                "print('sum', spark.sparkContext.parallelize(range(1000)).sum())\n"
                "print('cores', spark.sparkContext.defaultParallelism, spark.sparkContext.master)"
            )
            pages = {
                requests.get(f"http://127.0.0.1:{port}/", timeout=10).status_code
                for port in _pages_of_spark(cluster)
            }
        assert outcome.error == ""
        assert "sum 499500" in outcome.text
        assert cluster.url("scheduler") in outcome.text
        assert pages == {403}
        cluster.provisioner.teardown(RESERVATION, grace=GRACE)
        outside.wait_for(cluster.provisioner, RESERVATION, ClusterState.ABSENT)
        assert running(str(outside.home)) == []
    finally:
        outside.clear()


def _pages_of_spark(cluster: Cluster) -> list[str]:
    """The ports of the master's and the worker's pages, as they were told when they were started."""
    lines = (psutil.Process(pid).cmdline() for pid in running("--webui-port", str(cluster.outside.home)))
    return [line[line.index("--webui-port") + 1] for line in lines]
