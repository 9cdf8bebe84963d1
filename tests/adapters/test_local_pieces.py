"""The pieces of which clusters on this machine are made, each without a cluster."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from booking.adapters import make_provisioner
from booking.adapters.base import ClusterSpec, ClusterState
from booking.adapters.local import looking, memory, notebook, parts, processes
from booking.adapters.local.dask_engine import DaskEngine
from booking.adapters.local.memory import Budget
from booking.adapters.local.processes import Identity
from booking.adapters.local.workspace import LOG_BYTES, Inside, Workspace, write_file
from tests.adapters.waiting import eventually
from tests.support.doors import START, TestClock

SPEC = ClusterSpec(
    reservation_id="pieces0reservation",
    booking_id="pieces0booking",
    owner="ada",
    package="small",
    notebook_cores=1,
    notebook_memory_mib=1024,
    worker_cores=1,
    worker_memory_mib=512,
    worker_count=1,
    starts_at=START,
    ends_at=START + timedelta(hours=1),
)
SLEEPER = "import signal; signal.pause()"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as process:
        yield process
        process.kill()


def identity_of(pid: int) -> Identity:
    found = processes.identify(pid)
    assert found is not None
    return found


def test_the_known_provisioners_are_made_by_name(tmp_path: Path, clock: TestClock) -> None:
    assert make_provisioner("null", tmp_path, clock).name == "null"
    assert make_provisioner("local", tmp_path, clock, engine="dask").name == "local"
    with pytest.raises(ValueError, match="local, null"):
        make_provisioner("abacus", tmp_path, clock)


def test_a_specification_survives_being_written_down() -> None:
    assert ClusterSpec.from_json(json.loads(json.dumps(SPEC.as_json()))) == SPEC


def test_a_process_that_ended_is_not_alive_even_before_it_is_reaped(
    sleeper: subprocess.Popen[bytes],
) -> None:
    identity = identity_of(sleeper.pid)
    assert identity.is_alive()
    os.kill(sleeper.pid, signal.SIGKILL)
    eventually(lambda: (processes.look(sleeper.pid) or pytest.fail("reaped")).state == "Z")
    assert not identity.is_alive()


HEADLESS = """
import ctypes, threading, time
hog = bytearray(64 << 20)
threading.Thread(target=time.sleep, args=(9999,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_whose_first_thread_has_ended_is_alive_is_found_and_its_memory_counts(
    tmp_path: Path,
) -> None:
    marked = {"PATH": os.environ["PATH"]} | processes.mark_of(tmp_path)
    words = [sys.executable, "-c", HEADLESS, str(tmp_path)]
    with subprocess.Popen(words, env=marked, cwd=tmp_path, start_new_session=True) as headless:
        pid, identity = headless.pid, identity_of(headless.pid)
        eventually(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
        assert identity.is_alive()
        assert processes.with_arguments(str(tmp_path)) == [pid]
        assert processes.belonging_to(tmp_path) == {pid}
        assert processes.resident_mib([pid]) > 64
        assert processes.proportional_mib(pid) > 64
        identity.send(signal.SIGKILL)
        headless.wait()
        assert not identity.is_alive()
        assert processes.belonging_to(tmp_path) == set()


def test_a_number_that_was_given_to_another_process_is_not_signalled(
    sleeper: subprocess.Popen[bytes],
) -> None:
    identity = identity_of(sleeper.pid)
    for stranger in (replace(identity, start=identity.start - 1), replace(identity, boot="another")):
        stranger.send(signal.SIGKILL)
        assert not stranger.is_alive()
    assert identity.is_alive()
    identity.send(signal.SIGKILL)
    eventually(lambda: not identity.is_alive())


def test_the_orphans_of_a_cluster_are_found_by_environment_session_and_folder(tmp_path: Path) -> None:
    nothing = {"PATH": os.environ["PATH"]}
    marked = nothing | parts.describe(SPEC, Inside(tmp_path))
    neighbour = nothing | parts.describe(SPEC, Inside(tmp_path.with_name("neighbour")))
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}], env={{}})"
    with (
        subprocess.Popen([sys.executable, "-c", child], env=marked, start_new_session=True) as by_mark,
        subprocess.Popen([sys.executable, "-c", SLEEPER], env=nothing, cwd=tmp_path) as by_folder,
        subprocess.Popen([sys.executable, "-c", SLEEPER], env=neighbour) as stranger,
    ):
        found = eventually(lambda: len(rest := processes.belonging_to(tmp_path)) == 3 and rest)
        assert found
        processes.kill(found, signal.SIGKILL)
        assert {by_mark.pid, by_folder.pid} < found
        assert stranger.pid not in found
        stranger.kill()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The files of a cluster that runs, guarded by this very process, whose only address is silent."""
    workspace = Workspace(tmp_path)
    workspace.write_json("spec.json", SPEC.as_json())
    workspace.set_deadline(SPEC.ends_at)
    workspace.set_guardian(identity_of(os.getpid()))
    (port,) = parts.free_ports(1)
    set_probe(workspace, f"http://127.0.0.1:{port}/health")
    return workspace


def set_probe(workspace: Workspace, url: str, contains: str = "") -> None:
    probe = {"url": url, "authorization": "Bearer it", "contains": contains}
    state = {"phase": "running", "endpoints": [], "probes": [probe], "notes": []}
    workspace.write_json("state.json", state)


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that answers who asks with the right header."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Authorization"] == "Bearer it" else 403)
            self.end_headers()
            self.wfile.write(b'{\n "aliveworkers" : 2,\n "cores": 4}')

        def log_message(self, *_arguments: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/json/"
        server.shutdown()
        thread.join()


def test_a_cluster_that_never_answered_is_starting(workspace: Workspace) -> None:
    assert looking.look(workspace, START).state is ClusterState.STARTING


def test_a_cluster_is_ready_when_it_answers_what_is_expected(workspace: Workspace, server: str) -> None:
    set_probe(workspace, server, contains='"aliveworkers":3,')
    assert looking.look(workspace, START).state is ClusterState.STARTING
    set_probe(workspace, server, contains='"aliveworkers":2,')
    assert looking.look(workspace, START).state is ClusterState.READY


def test_a_cluster_that_is_slow_for_a_moment_stays_ready_and_after_a_minute_is_lost(
    workspace: Workspace, server: str
) -> None:
    silent = workspace.read("state.json") or ""
    set_probe(workspace, server)
    looking.look(workspace, START)
    workspace.write("state.json", silent)
    slow = looking.look(workspace, START)
    assert (slow.state, "slow" in slow.detail) == (ClusterState.READY, True)
    assert looking.look(workspace, START + timedelta(seconds=59)).state is ClusterState.READY
    assert looking.look(workspace, START + timedelta(seconds=61)).state is ClusterState.LOST
    set_probe(workspace, server)
    assert looking.look(workspace, START + timedelta(seconds=62)).state is ClusterState.READY
    workspace.write("state.json", silent)
    assert looking.look(workspace, START + timedelta(seconds=63)).state is ClusterState.READY


def test_no_other_machine_is_ever_asked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.client, "HTTPConnection", lambda *_a, **_k: pytest.fail("asked"))
    set_probe(workspace, "http://192.0.2.1:80/latest")
    assert looking.look(workspace, START).state is ClusterState.STARTING


def test_a_cluster_past_its_deadline_is_stopping(workspace: Workspace) -> None:
    assert looking.look(workspace, SPEC.ends_at).state is ClusterState.STOPPING


def test_a_restart_of_the_machine_is_told(workspace: Workspace) -> None:
    workspace.set_guardian(replace(identity_of(os.getpid()), boot="before"))
    lost = looking.look(workspace, START)
    assert lost.state is ClusterState.LOST
    assert "machine was restarted" in lost.detail


@pytest.mark.parametrize("damage", ["[]", "no JSON", '{"phase": "running"}'])
def test_damaged_records_are_no_surprise(workspace: Workspace, damage: str) -> None:
    workspace.write("state.json", damage)
    assert looking.look(workspace, START).state in (ClusterState.LOST, ClusterState.STARTING)
    workspace.write("guardian.json", damage)
    workspace.write("deadline", damage)
    assert looking.look(workspace, START).state is ClusterState.LOST


def test_a_link_in_the_way_of_a_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    target = tmp_path / "until"
    target.symlink_to(victim)
    (tmp_path / f".until.{os.getpid()}.new").symlink_to(victim)
    write_file(target, "new")
    assert (victim.read_text(), target.read_text()) == ("untouched", "new")


def test_logs_that_grow_too_large_are_emptied(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.logs.mkdir()
    for name, size in (("small.log", 10), ("large.log", LOG_BYTES + 1)):
        with (workspace.logs / name).open("wb") as file:
            file.truncate(size)
    workspace.trim_logs()
    sizes = {path.name: path.stat().st_size for path in workspace.logs.iterdir()}
    assert sizes == {"small.log": 10, "large.log": 0}


def test_as_many_programs_are_ended_as_the_memory_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    used = {11: 300.0, 12: 500.0, 13: 400.0, 14: 50.0}
    killed: list[int] = []
    monkeypatch.setattr(processes, "resident_mib", lambda pids: sum(used[pid] for pid in pids))
    monkeypatch.setattr(processes, "proportional_mib", used.__getitem__)
    monkeypatch.setattr(processes, "kill", lambda pids, _number: killed.extend(pids))
    notice = memory.enforce(Budget("The notebook", 400, 400, set(used)))
    assert killed == [12, 13]
    assert notice is not None
    assert "1250 MiB" in notice
    assert "1 more were ended" in notice
    killed.clear()
    assert memory.enforce(Budget("The notebook", 1250, 1250, set(used))) is None
    assert killed == []


def test_shared_pages_are_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "resident_mib", lambda _pids: 900.0)
    monkeypatch.setattr(processes, "proportional_mib", lambda _pid: 200.0)
    monkeypatch.setattr(processes, "kill", lambda *_arguments: pytest.fail("nobody is to be ended"))
    assert memory.enforce(Budget("The notebook", 500, 500, {1, 2})) is None


def test_only_harmless_settings_are_passed_on() -> None:
    known = parts.inherited_environment(
        {
            "PATH": "/bin",
            "TZ": "UTC",
            "BOOKING_SECRET_KEY": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "PYTHONPATH": "/x",
        }
    )
    assert set(known) == {"PATH", "TZ"}
    assert known["PATH"].split(":") == [str(Path(sys.executable).parent), "/bin"]


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://example.org/n.ipynb", "[https://example.org/n.ipynb](https://example.org/n.ipynb)"),
        ("javascript:alert(1)", "`javascript:alert%281%29`"),
        ("https://e.org/](javascript:x)", "%5D%28javascript:x%29"),
        ("file:///etc/passwd", "`file:///etc/passwd`"),
        ("https://e.org/`<script>", "%60%3Cscript%3E"),
    ],
)
def test_the_welcome_page_links_web_addresses_only(tmp_path: Path, url: str, shown: str) -> None:
    inside = Inside(tmp_path)
    inside.make()
    notebook.write_welcome(replace(SPEC, notebook_url=url), inside, DaskEngine.example)
    cells = json.loads((inside.work / notebook.WELCOME).read_text())["cells"]
    assert any(shown in cell["source"] for cell in cells)


def test_free_ports_differ() -> None:
    assert len(set(parts.free_ports(20))) == 20
