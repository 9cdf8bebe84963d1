"""What belongs to somebody else and looks much like ours: it must be there afterwards as it was before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from booking.adapters.base import ClusterSpec, ClusterState
from booking.adapters.local import processes
from booking.adapters.local.processes import Identity
from booking.adapters.local.provisioner import LocalProvisioner
from tests.trust.hostile.victim import awaited, end
from tests.trust.orphans.clock import SteppedClock
from tests.trust.orphans.light import GUARDIAN, PACKAGE, lead_guardians_to

_STAY = "import signal\nwhile True: signal.pause()"


class Foreign:
    """A cluster of another installation in the same home, one in a home of a similar name, and two decoys."""

    def __init__(self, home: Path, site: Path, clock: SteppedClock) -> None:
        self._before = lead_guardians_to(site)
        self._homes = (home, home.with_name(f"{home.name}2"))
        self._clock = clock
        self._names = ("foreign0", "foreign00")
        self._makers = [LocalProvisioner(each, clock, installation="another") for each in self._homes]
        for maker, name in zip(self._makers, self._names, strict=True):
            now = clock.now()
            maker.provision(
                ClusterSpec(name, "b", "bob", PACKAGE, 1, 64, 1, 64, 1, now, now + timedelta(days=9))
            )
        awaited(self._are_ready)
        self._decoys = [
            self._decoy(each, f"bk-{name}x") for each, name in zip(self._homes, self._names, strict=True)
        ]
        self._files = self._content()
        self._living = self._guardians() | set(self._identities())

    def _are_ready(self) -> bool:
        looks = zip(self._makers, self._names, strict=True)
        return all(maker.observe(name).state is ClusterState.READY for maker, name in looks)

    @staticmethod
    def _decoy(home: Path, name: str) -> subprocess.Popen[bytes]:
        """A process whose words and environment are nearly those of a guardian."""
        folder = home / "workspaces" / name
        words = [sys.executable, "-I", "-S", "-c", _STAY, GUARDIAN, str(folder)]
        mark = {"BOOKING_WORKSPACE": str(folder / "inside")}
        return subprocess.Popen(words, env=mark, start_new_session=True, stdin=subprocess.DEVNULL)

    def _identities(self) -> list[Identity]:
        found = (processes.identify(decoy.pid) for decoy in self._decoys)
        return [one for one in found if one is not None]

    def _folders(self) -> list[Path]:
        pairs = zip(self._homes, self._names, strict=True)
        return [home / "workspaces" / f"bk-{name}" for home, name in pairs]

    def _guardians(self) -> set[Identity]:
        pids = [pid for each in self._folders() for pid in processes.with_arguments(GUARDIAN, str(each))]
        found = (processes.identify(pid) for pid in pids)
        return {one for one in found if one is not None}

    def _content(self) -> dict[str, str]:
        paths = [f / n for f in self._folders() for n in ("spec.json", "launch.json", "deadline", "token")]
        return {str(path): path.read_text() if path.exists() else "" for path in paths}

    @property
    def names(self) -> set[str]:
        return {f"bk-{name}{end}" for name in self._names for end in ("", "x")}

    @property
    def all_named(self) -> int:
        """How many processes and files there are to touch."""
        return len(self._living) + len(self._files)

    def touched(self) -> int:
        """How many of them are no longer as they were."""
        now = self._content()
        changed = sum(now[path] != text for path, text in self._files.items())
        return changed + sum(not one.is_alive() for one in self._living)

    def close(self) -> None:
        for maker, name in zip(self._makers, self._names, strict=True):
            maker.teardown(name, grace=timedelta(0))
        awaited(lambda: not any(folder.exists() for folder in self._folders()), 10)
        end({one for one in self._living if one.is_alive()})
        for decoy in self._decoys:
            decoy.wait()
        for folder in self._folders():
            shutil.rmtree(folder, ignore_errors=True)
        lead_guardians_to(self._before)
