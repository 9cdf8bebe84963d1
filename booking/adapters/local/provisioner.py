"""Clusters on this machine: a disposable folder and a guardian process for each reservation."""

from __future__ import annotations

import fcntl
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from booking.adapters.base import (
    Capabilities,
    ClusterSpec,
    ClusterState,
    Observed,
    ProvisionerError,
    checked_id,
    is_ours,
    outside_name,
    refuse_passed,
)
from booking.adapters.local import making
from booking.adapters.local.containment import Containment
from booking.adapters.local.engine import find_engine
from booking.adapters.local.looking import guardians, look
from booking.adapters.local.workspace import Workspace

_GRACE = timedelta(seconds=5)
_LOCK_SECONDS = 30.0
_STEP_SECONDS = 0.02
_OVERDUE = timedelta(seconds=10)
"""A guardian that needs longer than its grace and this is killed."""
_ALIVE = (ClusterState.STARTING, ClusterState.READY)


class Clock(Protocol):
    """What this adapter needs of the clock door."""

    def now(self) -> datetime: ...


class LocalProvisioner:
    """Notebook and Dask or Spark on this machine, under `home/workspaces`, on the loopback address only.

    `grace` is how long a cluster may end politely at its deadline. `hide` are further files and folders
    that users must not see, where namespaces work; `containment` forces one instead of the strongest.
    Several processes may use the same `home`; what carries the name of another `installation` is left alone.
    """

    name = "local"

    def __init__(
        self,
        home: Path,
        clock: Clock,
        *,
        engine: str = "dask",
        grace: timedelta = _GRACE,
        hide: Iterable[Path] = (),
        containment: Containment | None = None,
        installation: str = "",
    ) -> None:
        self._home = home.resolve()
        self._workspaces = self._home / "workspaces"
        self._clock = clock
        self._engine = find_engine(engine)
        self._grace = grace
        self._hide = tuple(path.resolve() for path in hide)
        self._forced = containment
        self._installation = installation

    @cached_property
    def containment(self) -> Containment:
        """What holds the clusters made here; the machine is examined once."""
        return self._forced or making.strongest_containment()

    def capabilities(self) -> Capabilities:
        isolates = self.containment.isolates
        notes = (
            self.containment.sentence,
            "Memory: a ceiling for each program, and a watch over the sum that ends the largest.",
            "Cores: by affinity and by slots; a user's program may widen the first.",
            "Disk and network are not limited.",
        )
        return Capabilities(
            hard_memory=isolates, survives_restart=True, contains_escapees=isolates, notes=notes
        )

    def provision(self, spec: ClusterSpec) -> None:
        workspace = self._workspace(spec.reservation_id)
        if not sys.platform.startswith("linux"):
            raise ProvisionerError("Clusters on this machine need Linux.", transient=False)
        refuse_passed(spec, self._clock.now())
        self._engine.check(spec)
        with self._alone():
            state = look(workspace, self._clock.now()).state
            if state in _ALIVE:
                return
            if state is ClusterState.STOPPING:
                raise ProvisionerError("This cluster is just ending.")
            if state is ClusterState.LOST:
                making.destroy(workspace)
            try:
                making.make(workspace, spec, self._engine, self._launch(spec))
            except OSError as error:
                raise ProvisionerError(f"The cluster could not be made: {error}") from error

    def observe(self, reservation_id: str) -> Observed:
        workspace = self._workspace(reservation_id)
        seen = look(workspace, self._clock.now())
        if seen.state is not ClusterState.LOST or guardians(workspace):
            return seen
        # Another process may be making it at this moment: then it holds the lock.
        try:
            with self._alone(patience=0.5):
                return look(workspace, self._clock.now())
        except ProvisionerError:
            return Observed(ClusterState.STARTING, "The cluster is being made.")

    def extend(self, reservation_id: str, ends_at: datetime) -> None:
        workspace = self._workspace(reservation_id)
        with self._alone():
            state = look(workspace, self._clock.now()).state
            if state not in _ALIVE:
                raise ProvisionerError(f"The cluster cannot be extended: it is {state}.", transient=False)
            try:
                workspace.set_deadline(ends_at.astimezone(UTC))
            except OSError as error:
                raise ProvisionerError(f"The new deadline could not be written: {error}") from error

    def teardown(self, reservation_id: str, *, grace: timedelta) -> None:
        workspace = self._workspace(reservation_id)
        with self._alone():
            if not workspace.exists():
                return
            now = self._clock.now()
            stop = workspace.read_json("stop")
            kill_at = now + grace + _OVERDUE
            if stop is not None:
                kill_at = min(kill_at, datetime.fromisoformat(stop["kill_at"]))
            overdue = kill_at <= now or not guardians(workspace)
            if overdue or not _ask_to_end(workspace, grace, kill_at):
                making.destroy(workspace)

    def credentials(self, reservation_id: str) -> Mapping[str, str]:
        workspace = self._workspace(reservation_id)
        if look(workspace, self._clock.now()).state not in _ALIVE:
            return {}
        token = workspace.read("token")
        return {"notebook": token} if token else {}

    def inventory(self) -> frozenset[str]:
        """Only names that this adapter gives are looked for; other folders are left alone."""
        if not self._workspaces.is_dir():
            return frozenset()
        prefix = outside_name("")
        names = (path.name.removeprefix(prefix) for path in self._workspaces.glob(f"{prefix}*"))
        return frozenset(name for name in names if _is_id(name) and self._is_ours(name))

    def _is_ours(self, reservation_id: str) -> bool:
        launch = self._workspace(reservation_id).read_json("launch.json") or {}
        return is_ours(launch.get("installation"), self._installation)

    def _workspace(self, reservation_id: str) -> Workspace:
        return Workspace(self._workspaces / outside_name(checked_id(reservation_id)))

    def _launch(self, spec: ClusterSpec) -> dict[str, Any]:
        # Our own home comes last: see Sandbox.
        hide = (*_account_home(), Path("/run"), *self._hide, self._home)
        return {
            "containment": self.containment.value,
            "engine": self._engine.name,
            "installation": self._installation,
            "grace": self._grace.total_seconds(),
            "hide": [str(path) for path in hide],
            "shared_memory_mib": spec.notebook_memory_mib // 2,
        }

    @contextmanager
    def _alone(self, patience: float = _LOCK_SECONDS) -> Iterator[None]:
        """Hold the lock of all who make and destroy under this home; it is held for parts of a second.

        :raises ProvisionerError: if others hold it for longer than `patience` seconds.
        """
        try:
            self._workspaces.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._workspaces / ".lock").open("a")
        except OSError as error:
            raise ProvisionerError(f"The home of the clusters cannot be used: {error}") from error
        until = time.monotonic() + patience
        with lock:
            while not _locked(lock.fileno()):
                if time.monotonic() > until:
                    raise ProvisionerError("Others are making clusters; please try again.")
                time.sleep(_STEP_SECONDS)
            yield


def _ask_to_end(workspace: Workspace, grace: timedelta, kill_at: datetime) -> bool:
    """Tell the guardian to end; false if it cannot be told, for example because the disk is full."""
    order = {"grace": grace.total_seconds(), "kill_at": kill_at.isoformat()}
    try:
        workspace.write_json("stop", order)
    except OSError:
        # A folder that is gone means that it ended by itself at this very moment.
        return not workspace.exists()
    return True


def _account_home() -> tuple[Path, ...]:
    """The home of the account that the service runs as; an account without a name has none."""
    try:
        return (Path.home().resolve(),)
    except RuntimeError:
        return ()


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_id(name: str) -> bool:
    try:
        return bool(checked_id(name))
    except ProvisionerError:
        return False
