"""What the doctor looks at on this machine: settings, files, ports, and what clusters need."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import resource
import shutil
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import make_url

from booking.adapters.base import ClusterSpec, ProvisionerError
from booking.cli.backup import LAST
from booking.config import Settings, SettingsError, read_settings
from booking.server import Knock
from booking.services.checks import is_zone
from booking.services.doctor import Check, Patient

_GIB = 2**30
LEAST_FREE = _GIB
LEAST_FILES = 1024
LEAST_KEY = 32
BACKUP_AGE = timedelta(hours=26)
"""A backup a day, and some patience."""
MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "gluster", "lustre", "afs", "fuse.sshfs", "fuse.gluster")
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
_KNOCK_SECONDS = 2.0


def usable(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings that the right part of an environment makes, and what is wrong with the rest."""
    right, faults = {}, []
    for name, value in environ.items():
        try:
            read_settings({name: value})
        except SettingsError as error:
            faults += error.faults
        else:
            right[name] = value
    return read_settings(right), faults


def _user(_: Patient) -> str | None:
    return "the service would run as root" if os.geteuid() == 0 else None


def _home(patient: Patient) -> str | None:
    home = patient.ctx.settings.home
    mode = home.stat().st_mode & 0o777
    if mode & 0o077:
        return f"{home} has mode {mode:o}: others may read who has an account, and the secret key"
    return None if os.access(home, os.W_OK) else f"{home} cannot be written"


def _key_strength(patient: Patient) -> str | None:
    path = patient.ctx.settings.home / "secret_key"
    key = patient.ctx.settings.secret_key or (path.read_text() if path.exists() else "")
    if key and (len(key) < LEAST_KEY or len(set(key)) < LEAST_KEY // 4):
        return f"the secret key is guessed too easily: it has {len(key)} characters, {len(set(key))} of them different"
    return None


def _key_file(patient: Patient) -> str | None:
    path = patient.ctx.settings.home / "secret_key"
    mode = path.stat().st_mode & 0o777 if path.exists() else 0
    return f"{path} has mode {mode:o}: whoever reads it can sign in as anybody" if mode & 0o077 else None


def _database_file(patient: Patient) -> Path | None:
    url = make_url(patient.ctx.settings.url)
    embedded = url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:"
    return Path(str(url.database)).absolute() if embedded else None


def _database_mode(patient: Patient) -> str | None:
    path = _database_file(patient)
    if path is None or not path.exists() or not path.parent.stat().st_mode & 0o077:
        return None
    mode = path.stat().st_mode & 0o777
    return f"{path} has mode {mode:o}, in a folder that is open to others" if mode & 0o077 else None


def _disk(patient: Patient) -> str | None:
    for folder in {
        patient.ctx.settings.home,
        (_database_file(patient) or patient.ctx.settings.home / "x").parent,
    }:
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE:
            return f"{folder} has {free // 2**20} MiB left"
    return None


def _local_disk(patient: Patient) -> str | None:
    path = _database_file(patient)
    kind = None if path is None else _file_system(path.resolve())
    if kind is None or not kind.startswith(_NETWORK):
        return None
    return f"{path} is on {kind}: locks over a network do not hold, and the file will be damaged"


def _file_system(path: Path) -> str | None:
    """The kind of file system that a path is on, by the longest mount above it."""
    found = (0, "")
    for line in MOUNTS.read_text().splitlines():
        left, _, right = line.partition(" - ")
        mount = Path(left.split()[4].replace("\\040", " "))
        if mount == path or mount in path.parents:
            found = max(found, (len(mount.parts), right.split()[0]))
    return found[1] or None


def _files(_: Patient) -> str | None:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"a process may open {soft} files only" if 0 <= soft < LEAST_FILES else None


def _zone_data(_: Patient) -> str | None:
    missing = [zone for zone in _ZONES if not is_zone(zone)]
    return f"unknown: {', '.join(missing)}" if missing else None


def _port(patient: Patient) -> str | None:
    """Ours, or free; port 0 takes any."""
    host, port = patient.ctx.settings.host, patient.ctx.settings.port
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_ours(patient, host, port):
            return None
        return f"{host} port {port}: {os.strerror(error.errno or 0)}"
    return None


def _is_ours(patient: Patient, host: str, port: int) -> bool:
    knock = Knock(({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port))  # noqa: S104  # nosec B104  # not listened on
    clock = patient.ctx.clock
    until = clock.monotonic() + _KNOCK_SECONDS
    while clock.monotonic() < until:
        if knock.is_answered():
            return True
        clock.sleep(0.05)
    knock.close()
    return False


def _containment(patient: Patient) -> str | None:
    if patient.ctx.settings.provisioner != "local":
        return None
    able = patient.provisioner.capabilities()
    return None if able.contains_escapees else able.notes[0]


def _programs(patient: Patient) -> str | None:
    """Whether the smallest cluster could be made with what is installed."""
    if patient.ctx.settings.provisioner != "local":
        return None
    from booking.adapters.local.engine import find_engine

    now = datetime.now(UTC)
    spec = ClusterSpec("doctor00", "doctor00", "", "", 1, 4096, 1, 4096, 1, now, now)
    if importlib.util.find_spec("jupyterlab") is None:
        return "Python packages are missing: jupyterlab."
    try:
        find_engine(patient.ctx.settings.engine).check(spec)
    except ProvisionerError as error:
        return str(error)
    return None


def _backup(patient: Patient) -> str | None:
    try:
        last = json.loads((patient.ctx.settings.home / LAST).read_text())
        age = patient.ctx.clock.now() - datetime.fromisoformat(last["at"])
        there = Path(last["file"]).exists()
    except FileNotFoundError:
        return "there has never been one"
    except (KeyError, TypeError, ValueError):
        return f"{LAST} cannot be read"
    if not there:
        return f"the last one is not in {last['file']} any more"
    return f"the last one is {age.total_seconds() / 3600:.0f} hours old" if age > BACKUP_AGE else None


_ENGINE = "pip install --force-reinstall booking, for Spark 'booking[spark]' and apt-get install openjdk-17-jre-headless"
CHECKS = (
    Check("user", _user, "useradd --system booking, and run the service as that account"),
    Check("home folder", _home, 'chmod 700 "$BOOKING_HOME"'),
    Check(
        "secret key",
        _key_strength,
        'unset BOOKING_SECRET_KEY, rm "$BOOKING_HOME/secret_key", and start again',
    ),
    Check("secret key's file", _key_file, 'chmod 600 "$BOOKING_HOME/secret_key"'),
    Check("database's file", _database_mode, "chmod 600 the file"),
    Check("disk space", _disk, "df -h; make room"),
    Check("database's disk", _local_disk, "move the file to a local disk, or use PostgreSQL"),
    Check("open files", _files, f"ulimit -n {LEAST_FILES}, or LimitNOFILE= of systemd"),
    Check("zone data", _zone_data, "pip install --upgrade tzdata"),
    Check("port", _port, "ss -ltnp; choose another with BOOKING_PORT"),
    Check(
        "containment",
        _containment,
        "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000",
    ),
    Check("cluster programs", _programs, _ENGINE),
    Check("last backup", _backup, "booking backup FILE, every day"),
)
