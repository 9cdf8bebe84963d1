"""How the metrics of all processes of a service are told as one.

`booking serve` gives its processes one folder (by the variable :data:`FOLDER`), in which each counts in a file of
its own; whoever is asked adds them up. A process without it tells of itself only.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.mmap_dict import mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from booking.config import Settings
from booking.counting import Counts, has_room
from booking.metrics import READINGS, REGISTRY

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which the library knows that several processes count together."""
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
Samples = Iterable[tuple[str, tuple[str, ...], float]]
"""Readings: name, values of the labels, value."""


_FORWARDED = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_REAL_IP")
_HERE = ("localhost", "127.0.0.1", "[::1]")


def may_read(settings: Settings, environ: Mapping[str, Any]) -> bool:
    """Whether a request (in the words of WSGI) may read the metrics: it has the token, or is this machine's.

    Behind a proxy everybody seems to be this machine. So where there may be one, only the token counts.
    """
    if settings.metrics_token:
        given = str(environ.get("HTTP_AUTHORIZATION", ""))
        return hmac.compare_digest(given.encode(), f"Bearer {settings.metrics_token}".encode())
    if settings.proxies or settings.secure_cookies or any(name in environ for name in _FORWARDED):
        return False
    host = str(environ.get("HTTP_HOST", "")).lower()
    here = host in _HERE or host.rpartition(":")[0] in _HERE
    return here and _is_loopback(str(environ.get("REMOTE_ADDR", "")))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def serve(settings: Settings) -> int:
    """Tell the metrics of this process at a port of its own, from a thread; which port.

    :raises OSError: if the port is taken.
    """
    server, _ = start_http_server(settings.metrics_port, settings.host, CollectorRegistry())

    def answer(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        if environ.get("PATH_INFO") != "/metrics":
            start("404 Not Found", [])
            return []
        if not may_read(settings, environ):
            start("403 Forbidden", [])
            return []
        start("200 OK", [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store")])
        return [exposition()]

    server.set_app(answer)
    return server.server_port


class _Readings(Collector):
    """What was read from the rows, for one scrape."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        found: dict[str, GaugeMetricFamily] = {}
        for name, labels, value in self._samples:
            # All are explained where any is told, also those of which there is nothing.
            found = found or {n: GaugeMetricFamily(n, told, labels=of) for n, (told, of) in READINGS.items()}
            found[name].add_metric(labels, value)
        yield from found.values()


class _Counted(Collector):
    """What all processes have counted; one that is just beginning has a file and nothing in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        files = [str(path) for path in self._folder.glob("*.db") if path.stat().st_size]
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]


def exposition(samples: Samples = ()) -> bytes:
    """Everything that is known, of all processes that count together, as text for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    folder = os.environ.get(FOLDER)
    with _alone(Path(folder)) if folder else _nobody_else():
        if folder:
            _fold(Path(folder))
            registry.register(_Counted(Path(folder)))
        else:
            registry.register(REGISTRY)
        registry.register(_Readings(samples))
        return generate_latest(registry)


@contextmanager
def _nobody_else() -> Iterator[None]:
    yield


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of those who read or fold, one at a time."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_PAST = "0"
"""The number, that no process has, of the file that keeps what those counted that have ended."""


def _fold(folder: Path) -> None:
    """Add the files of processes that have ended to one, so that counts stay and files do not pile up."""
    dead = [path for path in sorted(folder.glob("*.db")) if not _lives(path)]
    for path in dead:
        if path.name.startswith("gauge_"):
            path.unlink()
    for kind in ("counter", "histogram"):
        ended = [path for path in dead if path.name.startswith(f"{kind}_")]
        past = folder / f"{kind}_{_PAST}.db"
        fresh = past.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        if ended and has_room(str(fresh)):  # else they are told from their own files
            _add(fresh, [*ended, *([past] if past.exists() else [])])
            fresh.replace(past)
            for path in ended:
                path.unlink()


def _lives(path: Path) -> bool:
    process = path.stem.rpartition("_")[2]
    return process == _PAST or Path("/proc", process).exists()


def _add(fresh: Path, files: list[Path]) -> None:
    sums = MultiProcessCollector.merge([str(path) for path in files], accumulate=False)  # type: ignore[no-untyped-call]
    book = Counts(str(fresh))
    for metric in sums:
        for sample in metric.samples:
            labels = (list(sample.labels), list(sample.labels.values()))
            key = mmap_key(metric.name, sample.name, *labels, metric.documentation)
            book.write_value(key, sample.value, 0.0)  # type: ignore[no-untyped-call]
    book.close()  # type: ignore[no-untyped-call]


def common_folder(home: Path) -> Path:
    """An empty folder in which the processes of one service count together; those of services that ended go."""
    folders = home / "metrics"
    folders.mkdir(mode=0o700, parents=True, exist_ok=True)
    mine = folders / str(os.getpid())
    for folder in folders.glob("*"):
        if folder == mine or not Path("/proc", folder.name).exists():
            shutil.rmtree(folder)
    mine.mkdir(mode=0o700)
    return mine
