"""Free ports on loopback for everything that listens."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from pathlib import Path

LOWEST = 20000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def draw(names: Iterable[str]) -> dict[str, int]:
    """A free port for each name.

    They lie below those that outgoing connections get: half a minute passes until the last of them is
    used, and any connection of the machine might have taken it by then.
    """
    highest = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 49152
    # Not seeded by the test run: two of them at once must not draw the same.
    candidates = iter(random.SystemRandom().sample(range(LOWEST, highest), 500))
    return {name: next(port for port in candidates if _is_free(port)) for name in names}


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
