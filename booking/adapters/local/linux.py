"""The few system calls of Linux that Python 3.11 has no function for."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
_LAST_CAPABILITY = 63
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags`.

    :raises OSError: if the kernel refuses.
    """
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: Path, kind: str | None, flags: int = 0, data: str = "") -> None:
    """Mount, as mount(2).

    :raises OSError: if the kernel refuses.
    """
    result = _libc.mount(
        source.encode(),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, f"mount {target}")


def make_tree_read_only(root: Path) -> None:
    """Make every mount from `root` downwards read-only.

    :raises OSError: on kernels before 5.12.
    """
    _mount_attributes(root, _AT_RECURSIVE, _MountAttributes(_ATTR_RDONLY, 0, 0, 0))


def make_mount_writable(target: Path) -> None:
    """Make the one mount at `target` writable again.

    :raises OSError: if it is locked or no mount.
    """
    _mount_attributes(target, 0, _MountAttributes(0, _ATTR_RDONLY, 0, 0))


def _mount_attributes(target: Path, flags: int, attributes: _MountAttributes) -> None:
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        flags,
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(result, f"mount_setattr {target}")


def become_subreaper() -> None:
    """Let orphans of this process's descendants become its own children."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl subreaper")


def die_with_parent(number: signal.Signals) -> None:
    """Ask for signal `number` when the parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0), "prctl parent death signal")


def give_up_privileges() -> None:
    """Let the next exec lose every capability, also as root, and no later one win any."""
    for capability in range(_LAST_CAPABILITY + 1):
        # Fails for numbers this kernel does not know and without the right to drop: then there are none.
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl no new privileges")
