"""The address of the service: the socket that stays ours while web servers come and go, and a knock at it."""

from __future__ import annotations

import select
import socket
import struct

BACKLOG = 512
SLOW_SECONDS = 10
"""How long a client may be silent in the midst of a request, or of taking an answer, before it is dropped."""


class CannotServe(Exception):
    """The address is taken or not ours."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; what it accepts does not wait for a silent client without end.

    :raises CannotServe: if the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        said = (getattr(error, "strerror", None) or str(error)).partition(" (")[0]
        raise CannotServe(
            f"Cannot listen on {host} port {port}: {said}. Another service may run there already; "
            "choose another port with --port or BOOKING_PORT."
        ) from None
    # The kernel hands these on to each connection. The web server itself would let a thread wait for ever.
    patience = struct.pack("@ll", SLOW_SECONDS, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
    return listener


class Knock:
    """One question whether the web server is alive; it waits in the queue of the socket until it is."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connection: socket.socket | None = None

    def is_answered(self) -> bool:
        """Whether the answer is there and says so; never waits."""
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._address, timeout=1.0)
                self._connection.sendall(
                    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
            if not select.select([self._connection], [], [], 0)[0]:
                return False
            alive = self._connection.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            alive = False
        self.close()
        return alive

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
