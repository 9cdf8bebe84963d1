"""The server behind which applications are tried."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.served import served

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Body:
    """A body that tells when it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"a page"

    def close(self) -> None:
        self.closed.set()


def test_a_body_is_closed_though_the_client_has_hung_up() -> None:
    body = Body()

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "6")])
        return body

    with served(app) as address:
        url = urlsplit(address)
        with socket.create_connection((url.hostname, url.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            with client.makefile("rb") as answer:
                while answer.readline().strip():
                    pass
                answer.read(6)
            # Reset, not closed in good order, and at once: a browser that leaves a page may do so.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert body.closed.wait(10)
