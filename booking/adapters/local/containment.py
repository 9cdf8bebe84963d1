"""How firmly a cluster can be held on this machine, and the namespaces that hold it."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path

from booking.adapters.local import linux


class Containment(StrEnum):
    """What keeps a cluster's processes together; the best that works is chosen."""

    USER_NAMESPACE = "user-namespace"
    """Own process, mount and user namespaces: nothing escapes, other files are hidden. Needs no privilege."""
    ROOT_NAMESPACE = "root-namespace"
    """Own process and mount namespaces, made by root, with every capability given up."""
    SUBREAPER = "subreaper"
    """No namespace: the guardian adopts and ends its descendants. Other files are not hidden."""

    @property
    def isolates(self) -> bool:
        return self is not Containment.SUBREAPER

    @property
    def sentence(self) -> str:
        if self.isolates:
            return "Contained by namespaces: nothing outlives it."
        return "Held together by a subreaper only: this machine allows no namespaces."


def enter(containment: Containment) -> None:
    """Let the next forked child be the first process of new namespaces.

    The process must have one thread only.

    :raises OSError: if the kernel refuses.
    """
    if containment is Containment.USER_NAMESPACE:
        uid, gid = os.geteuid(), os.getegid()
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    elif containment is Containment.ROOT_NAMESPACE:
        linux.unshare(linux.CLONE_NEWPID)


def own_mounts() -> None:
    """Give this first process of a process namespace its own mounts and its own `/proc`.

    :raises OSError: if the kernel refuses.
    """
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", Path("/"), None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("proc", Path("/proc"), "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)


def _works(containment: Containment) -> bool:
    """Whether this containment can really be made; tried in a child process."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    try:
        enter(containment)
        inner = os.fork()
        if inner == 0:
            own_mounts()
            linux.mount("none", Path("/dev/shm"), "tmpfs")  # noqa: S108  # nosec B108  # the probe's own mount
            os._exit(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
    except OSError:
        os._exit(1)


def strongest() -> Containment:
    """The best containment that works here; forks, so call it in a process with one thread."""
    candidates = [Containment.USER_NAMESPACE]
    if os.geteuid() == 0:
        candidates.append(Containment.ROOT_NAMESPACE)
    return next((candidate for candidate in candidates if _works(candidate)), Containment.SUBREAPER)


if __name__ == "__main__":
    sys.stdout.write(strongest().value)
