"""The least of an application, for what web servers do by themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def make() -> WSGIApplication:
    return answer


def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    """`/wait` answers after the seconds of the query; everything answers the process and the length of the body."""
    if environ["PATH_INFO"] == "/wait":
        time.sleep(float(environ["QUERY_STRING"]))
    length = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    body = f"{os.getpid()} {length}".encode()
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
