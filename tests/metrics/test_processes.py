"""Processes that count together: what each has counted is told as one, also after it has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from booking import exposition
from tests.metrics.told import Told, parsed, told

COUNTING = """
import sys
from booking import metrics
for _ in range(int(sys.argv[1])):
    metrics.answered("/calendar", "GET", 200, 0.003)
    metrics.answered("/calendar", "GET", 200, 3.0)
    metrics.DECISIONS.labels("accepted").inc()
metrics.CONNECTIONS.set(int(sys.argv[1]))
print("counted", flush=True)
sys.stdin.read()
"""


class Counting:
    """A process that has counted so often, and lives until it is ended."""

    def __init__(self, folder: Path, often: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(often)],
            env={**os.environ, exposition.FOLDER: str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"counted\n"

    def end(self) -> None:
        self.process.communicate(timeout=30)


Start = Callable[[int], Counting]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = exposition.common_folder(tmp_path)
    monkeypatch.setenv(exposition.FOLDER, str(found))
    return found


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    started: list[Counting] = []

    def begin(often: int) -> Counting:
        started.append(Counting(folder, often))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.end()


def page() -> Told:
    return parsed(exposition.exposition().decode())


def summed(page: Told) -> list[float | None]:
    route = {"route": "/calendar", "method": "GET", "status": "2xx"}
    name = "booking_http_request_seconds"
    return [
        told(page, "booking_decisions_total", outcome="accepted"),
        told(page, f"{name}_count", **route),
        told(page, f"{name}_bucket", **route, le="0.005"),
        told(page, f"{name}_bucket", **route, le="+Inf"),
        told(page, f"{name}_sum", **route),
        told(page, "booking_database_connections_in_use"),
    ]


def test_what_two_processes_count_is_one_number(start: Start) -> None:
    start(2)
    start(3)
    assert summed(page()) == [5, 10, 5, 10, pytest.approx(5 * 3.003), 5]


def test_counts_of_those_that_ended_stay_and_their_files_do_not_pile_up(start: Start, folder: Path) -> None:
    for _ in range(5):
        start(1).end()
        page()
    living = start(2)
    assert summed(page()) == [7, 14, 7, 14, pytest.approx(7 * 3.003), 2]
    assert summed(page()) == summed(page())
    (folder / "counter_1.db").touch()  # process 1 is there always, and begins to count just now
    assert summed(page())[0] == 7
    (folder / "counter_1.db").unlink()
    names = {path.stem.rpartition("_")[2] for path in folder.glob("*.db")}
    assert names == {"0", str(living.process.pid)}


def test_a_new_service_begins_at_zero_and_clears_away_what_others_left(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    gone = tmp_path / "metrics" / str(most + 1)
    gone.mkdir(parents=True)
    (gone / "counter_1.db").touch()
    beside = tmp_path / "metrics" / str(os.getppid())
    beside.mkdir()
    mine = exposition.common_folder(tmp_path)
    (mine / "counter_1.db").touch()
    assert not gone.exists()
    assert beside.exists(), "that service still runs"
    assert exposition.common_folder(tmp_path) == mine
    assert list(mine.iterdir()) == []
    assert mine.stat().st_mode & 0o077 == 0
