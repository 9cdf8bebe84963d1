"""The parts of a cluster (notebook server, scheduler, workers): what to run, how to start and watch it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from booking.adapters.base import ClusterSpec, Endpoint
from booking.adapters.local import linux
from booking.adapters.local.processes import mark_of
from booking.adapters.local.workspace import Inside

SOURCE = Path(__file__).resolve().parents[3]
"""The folder that contains this package: a source tree or the place of installed packages."""
_PASSED_ON = (
    "JAVA_HOME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
)
"""All that a user's process may know of the service's environment; everything else could be a secret."""


@dataclass(frozen=True)
class Command:
    """One part, not yet started; memory in MiB."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: int = 0
    data_mib: int = 0
    """Ceiling of each process's private memory; 0 is none."""


@dataclass(frozen=True)
class Probe:
    """An address of this machine that answers 200, with `contains` in its text, once its part is ready."""

    url: str
    authorization: str = ""
    contains: str = ""
    """Compared without the white space of both sides."""


@dataclass(frozen=True)
class Plan:
    """Everything to start for one cluster, on ports that were free a moment ago."""

    commands: tuple[Command, ...]
    environment: Mapping[str, str]
    endpoints: tuple[Endpoint, ...]
    probes: tuple[Probe, ...]
    overhead_mib: int = 0
    """What the engine's own processes may use beyond the booked memory of the workers."""


@dataclass
class Part:
    """A started part; `status` is its exit code once it has ended."""

    name: str
    process: subprocess.Popen[bytes]
    status: int | None = None


def inherited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the service's own environment is passed on; this interpreter comes first on the path."""
    known = {name: environment[name] for name in _PASSED_ON if name in environment}
    folders = (str(Path(sys.executable).parent), known.get("PATH", os.defpath))
    return known | {"PATH": os.pathsep.join(folders)}


def describe(spec: ClusterSpec, inside: Inside) -> dict[str, str]:
    """The environment that tells a user's process who and how large it is."""
    home = {"HOME": inside.work, "TMPDIR": inside.tmp, "IPYTHONDIR": inside.jupyter / "ipython"}
    return (
        {name: str(path) for name, path in home.items()}
        | mark_of(inside.root)
        | {
            "BOOKING_ID": spec.booking_id,
            "BOOKING_RESERVATION": spec.reservation_id,
            "BOOKING_PACKAGE": spec.package,
            "BOOKING_UNTIL": instant(spec.ends_at),
            "BOOKING_NOTEBOOK_CORES": str(spec.notebook_cores),
            "BOOKING_NOTEBOOK_MEMORY_MIB": str(spec.notebook_memory_mib),
            "BOOKING_WORKER_CORES": str(spec.worker_cores),
            "BOOKING_WORKER_MEMORY_MIB": str(spec.worker_memory_mib),
            "BOOKING_WORKER_COUNT": str(spec.worker_count),
            "BOOKING_NOTEBOOK_URL": spec.notebook_url or "",
            "CPU_LIMIT": str(spec.notebook_cores),
            "MEM_LIMIT": str(spec.notebook_memory_mib * 1024 * 1024),
        }
    )


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, written with `Z`."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody uses now; another may take one before it is used."""
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [holder.getsockname()[1] for holder in holders]
    finally:
        for holder in holders:
            holder.close()


def start(
    command: Command, environment: Mapping[str, str], inside: Inside, *, log: Path, most_tasks: int
) -> Part:
    """Start a part in a session of its own, under its limits.

    `most_tasks` bounds the processes and threads of the whole cluster, 0 does not; it may only be given
    where the cluster has its own user namespace, because elsewhere the account's other programs count too.

    :raises OSError: if the program cannot be started.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command.arguments,
            env={**environment, **command.environment},
            cwd=inside.work,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The guardian has one thread, so that code may run between fork and exec.
            preexec_fn=_limits(command, environment["BOOKING_RESERVATION"], most_tasks),  # noqa: PLW1509
        )
    return Part(command.name, process)


def _limit(kind: int, most: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _limits(command: Command, reservation_id: str, most_tasks: int) -> Callable[[], None]:
    allowed = sorted(os.sched_getaffinity(0))
    first = zlib.crc32(f"{reservation_id}/{command.name}".encode()) % len(allowed)
    cores = {allowed[(first + step) % len(allowed)] for step in range(command.cores)}

    def apply() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if 0 < command.cores < len(allowed):
            # Soft: the user may widen it again. It keeps well-meaning programs on the booked cores.
            os.sched_setaffinity(0, cores)
        if command.data_mib:
            _limit(resource.RLIMIT_DATA, command.data_mib * 1024 * 1024)
        if most_tasks:
            _limit(resource.RLIMIT_NPROC, most_tasks)
        _limit(resource.RLIMIT_CORE, 0)
        linux.die_with_parent(signal.SIGKILL)
        linux.give_up_privileges()

    return apply
