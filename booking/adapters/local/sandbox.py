"""What a user's process sees of the machine: all of it read-only, without the service and its neighbours.

Runs in the first process of a cluster's own namespaces. Afterwards only `inside` and the temporary
folders can be written; the service's home, its account's home, `/run` and the other clusters are empty.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from booking.adapters.local import linux
from booking.adapters.local.workspace import Inside

_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  # nosec B108  # these are what is replaced
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


class Sandbox:
    """The mounts of one cluster.

    `hide` names folders and files that shall not be seen; a folder that Python needs as a whole stays,
    except the last, which is hidden without exception: the service's own home.
    """

    def __init__(self, inside: Inside, hide: Sequence[Path], shared_memory_mib: int) -> None:
        self._inside = inside
        *others, home = hide
        needed = _needed()
        self._hide = [path for path in others if path != Path("/") and path not in needed] + [home]
        self._shared_memory_mib = shared_memory_mib
        # A held folder can be bound to its old place when that has been covered.
        self._held = {path: os.open(path, os.O_PATH) for path in needed}
        self._own = {
            path: os.open(source, os.O_PATH)
            for path, source in {
                **dict.fromkeys(_TEMPORARY, inside.tmp),
                inside.root: inside.root,
            }.items()
            if path.exists()
        }

    def build(self) -> tuple[str, ...]:
        """Make all mounts; answers what this kernel could not do, as sentences.

        :raises OSError: if the kernel refuses a mount that hides something.
        """
        self._devices()
        for folder in _TEMPORARY:
            if folder in self._own:
                _bind(self._own[folder], folder)
        self._show_again(_TEMPORARY)
        for path in self._hide:
            _cover(path)
            self._show_again([path])
        self._inside.root.mkdir(parents=True, exist_ok=True)
        _bind(self._own[self._inside.root], self._inside.root)
        try:
            linux.make_tree_read_only(Path("/"))
        except OSError:
            return ("This kernel cannot make the whole file system read-only.",)
        for path in (*self._own, Path("/dev/shm"), Path("/dev/pts")):  # noqa: S108  # nosec B108  # these stay writable
            linux.make_mount_writable(path)
        return ()

    def _devices(self) -> None:
        """A `/dev` without disks: root may open those it sees, even without any capability."""
        dev = Path("/dev")
        sources = {name: os.open(dev / name, os.O_PATH) for name in _DEVICES if (dev / name).exists()}
        linux.mount("none", dev, "tmpfs", linux.MS_NOSUID, "mode=755,size=1m")
        for name, handle in sources.items():
            (dev / name).touch()
            _bind(handle, dev / name)
            os.close(handle)
        for name, target in _LINKS.items():
            (dev / name).symlink_to(target)
        (dev / "shm").mkdir()
        linux.mount("none", dev / "shm", "tmpfs", 0, f"mode=1777,size={max(16, self._shared_memory_mib)}m")
        (dev / "pts").mkdir()
        flags = linux.MS_NOSUID | linux.MS_NOEXEC
        linux.mount("none", dev / "pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=0600")

    def _show_again(self, covered: Iterable[Path]) -> None:
        """Bind back what Python itself needs and what was just covered."""
        for path, handle in self._held.items():
            if any(folder in path.parents for folder in covered):
                path.mkdir(parents=True, exist_ok=True)
                _bind(handle, path)


def _needed() -> list[Path]:
    """The folders of the interpreter, its libraries and Java, outermost first.

    By the names they are called by as well as by their real ones: a link may lie in a hidden folder.
    """
    named = [
        *map(Path, (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path)),
        Path("/run/systemd/resolve"),
    ]
    named += [program.parent for program in _links(Path(sys.executable))]
    java = shutil.which("java", path=os.environ.get("JAVA_HOME", "") + "/bin") or shutil.which("java")
    named += [program.parent.parent for program in _links(Path(java or "/"))]
    folders = {path for name in named for path in (name.absolute(), name.resolve())}
    return sorted(path for path in folders if path.is_dir() and path != Path("/"))


def _links(program: Path) -> list[Path]:
    """The program and every link on the way to it."""
    found = [program]
    while found[-1].is_symlink():
        found.append(found[-1].parent / found[-1].readlink())
    return found


def _bind(handle: int, target: Path) -> None:
    linux.mount(f"/proc/self/fd/{handle}", target, None, linux.MS_BIND | linux.MS_REC)


def _cover(path: Path) -> None:
    """Put an empty folder, or nothing at all, over what is there."""
    if path.is_dir():
        linux.mount("none", path, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m")
    elif path.exists():
        linux.mount("/dev/null", path, None, linux.MS_BIND)
