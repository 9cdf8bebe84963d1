"""Runs code in a cluster's notebook exactly as its owner would: by the server's REST and websocket API."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from types import TracebackType

import requests
import websocket

from booking.adapters.base import Observed

CELL_SECONDS = 120.0


@dataclass(frozen=True)
class Outcome:
    """What a cell printed (its value included), and the error that ended it, or nothing."""

    text: str
    error: str


class Notebook:
    """A kernel of a running cluster; its end ends the kernel."""

    def __init__(self, observed: Observed, token: str) -> None:
        (self.url,) = (endpoint.url for endpoint in observed.endpoints if endpoint.name == "notebook")
        self._header = {"Authorization": f"token {token}"}
        self._kernel = ""

    def __enter__(self) -> Notebook:
        answer = requests.post(f"{self.url}api/kernels", headers=self._header, json={}, timeout=CELL_SECONDS)
        answer.raise_for_status()
        self._kernel = answer.json()["id"]
        self._socket = self._connected()
        return self

    def _connected(self) -> websocket.WebSocket:
        return websocket.create_connection(
            f"ws{self.url.removeprefix('http')}api/kernels/{self._kernel}/channels",
            header=self._header,
            timeout=CELL_SECONDS,
        )

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def run(self, code: str) -> Outcome:
        """Run one cell to its end, or to the end of its kernel."""
        try:
            return self._run(code)
        except ConnectionError:
            # A server that drops a connection while a kernel starts is asked once more, as a browser does;
            # one that is gone refuses that.
            self._socket = self._connected()
            return self._run(code)

    def _run(self, code: str) -> Outcome:
        request = uuid.uuid4().hex
        self._socket.send(json.dumps(_execute(request, code)))
        text, error = "", ""
        while True:
            message = json.loads(self._socket.recv())
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] in ("restarting", "dead"):
                return Outcome(text, "the kernel was ended")
            if message["parent_header"].get("msg_id") != request:
                continue
            if kind == "stream":
                text += content["text"]
            elif kind == "execute_result":
                text += content["data"]["text/plain"]
            elif kind == "error":
                error = f"{content['ename']}: {content['evalue']}"
            elif kind == "status" and content["execution_state"] == "idle":
                return Outcome(text, error)


def _execute(request: str, code: str) -> dict[str, object]:
    return {
        "header": {
            "msg_id": request,
            "msg_type": "execute_request",
            "username": "",
            "session": uuid.uuid4().hex,
            "version": "5.3",
            "date": "",
        },
        "parent_header": {},
        "metadata": {},
        "channel": "shell",
        "buffers": [],
        "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
    }
