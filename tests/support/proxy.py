"""A wire to a server that can be made bad: slow, cut, silent, or a trickle."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from enum import StrEnum
from types import TracebackType

_CHUNK = 65536


class Fault(StrEnum):
    """What the wire does from now on, to connections that stand and to new ones."""

    NONE = "none"
    DELAY = "delay"
    """Every piece arrives late."""
    TRICKLE = "trickle"
    """One byte a second."""
    DROP = "drop"
    """What is under way is lost, the rest arrives: the peer waits for an answer to what never came."""
    SILENCE = "silence"
    """A black hole: everything is taken and nothing arrives, not even that somebody hung up."""
    RESET = "reset"
    """Every connection is reset, and every new one."""


class Proxy:
    """Listens on loopback and passes everything to a Unix socket; runs within `with`, in a thread."""

    def __init__(self, target: str, delay: float = 0.15) -> None:
        self._target, self._delay = target, delay
        self._fault = Fault.NONE
        self._loop = asyncio.new_event_loop()
        self._heard = asyncio.Event()
        """Whether a peer is told that the other hung up."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._lossy: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._loop.call_soon_threadsafe(self._heard.set)
        opening = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def become(self, fault: Fault) -> None:
        """From now on be bad in this way."""
        asyncio.run_coroutine_threadsafe(self._become(fault), self._loop).result()

    async def _become(self, fault: Fault) -> None:
        # A connection that a piece was lost from never recovers; a real one would be cut as well.
        cut = fault is Fault.RESET or self._fault in (Fault.SILENCE, Fault.DROP)
        self._fault = fault
        (self._heard.clear if fault is Fault.SILENCE else self._heard.set)()
        if fault is Fault.DROP:
            self._lossy = set(self._writers)
        if cut:
            for writer in list(self._writers):
                _reset(writer)

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self._fault is Fault.RESET:
            _reset(near_out)
            return
        far_in, far_out = await asyncio.open_unix_connection(self._target)
        pair = {near_out, far_out}
        self._writers |= pair
        try:
            await asyncio.gather(self._pass(near_in, far_out), self._pass(far_in, near_out))
        finally:
            self._writers -= pair
            for writer in pair:
                writer.close()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await source.read(_CHUNK):
                await self._send(piece, target)
            await self._heard.wait()
            target.close()

    async def _send(self, piece: bytes, target: asyncio.StreamWriter) -> None:
        if self._fault is Fault.TRICKLE:
            while piece and self._fault is Fault.TRICKLE:
                target.write(piece[:1])
                piece = piece[1:]
                await asyncio.sleep(1.0)
        if self._fault is Fault.DELAY:
            await asyncio.sleep(self._delay)
        if self._fault is Fault.SILENCE or target in self._lossy:
            self._lossy.discard(target)
            return
        target.write(piece)
        await target.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST and not with FIN, as a firewall does."""
    with suppress(OSError):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
