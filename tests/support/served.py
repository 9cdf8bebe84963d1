"""An application behind a real server, with a thread for every connection."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _Silent(WSGIRequestHandler):
    """Writes no line for each request."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


class _Closing:
    """Closes each body once it is read to its end.

    Werkzeug's server closes a body last, after it has read what the client still sends; when
    the client has hung up by then, that reading raises, and the body stays open.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = self._app(environ, start_response)
        try:
            yield from body
        finally:
            if close := getattr(body, "close", None):
                close()


@contextmanager
def served(app: WSGIApplication, port: int = 0) -> Iterator[str]:
    """Serve the application on a port of this machine, a free one unless told; its address."""
    server = make_server("127.0.0.1", port, _Closing(app), threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
