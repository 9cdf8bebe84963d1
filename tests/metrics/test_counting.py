"""A full disk costs counts and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from booking.counting import FILE_BYTES, Counts, has_room

COUNT = """
import os, sys
from booking import metrics
metrics.DECISIONS.labels("accepted").inc()
print("counted")
"""


def counted(folder: Path) -> subprocess.CompletedProcess[str]:
    """What a process that counts in that folder comes to."""
    known = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", COUNT], check=False, env=known, capture_output=True, text=True
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A disk of some pages, that is full but for one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("nobody may mount here")
    return disk


def test_who_counts_on_a_full_disk_lives_on(small_disk: Path) -> None:
    try:
        (small_disk / "ballast").write_bytes(b"x" * 60 * 1024)
        done = counted(small_disk)
        assert (done.returncode, done.stdout) == (0, "counted\n"), done.stderr
        assert not has_room(str(small_disk / "one"))
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


def test_the_blocks_of_a_file_are_there_before_it_is_counted_in(tmp_path: Path) -> None:
    book = Counts(str(tmp_path / "counter_1.db"))
    book.write_value("a", 2.0, 0.0)  # type: ignore[no-untyped-call]
    assert (tmp_path / "counter_1.db").stat().st_blocks * 512 >= FILE_BYTES
    book.close()  # type: ignore[no-untyped-call]
