"""A session with a cloud that clouds.yaml names: it renews its tokens by itself, and every call has a deadline."""

from __future__ import annotations

import threading
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from blazarclient.client import Client as BlazarClient
from keystoneauth1.adapter import Adapter
from keystoneauth1.session import TCPKeepAliveAdapter
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.warnings import RemovedInSDK60Warning
from requests import PreparedRequest, Response

from booking.adapters.openstack.errors import speaking

RESERVATION = "reservation"
_LOCKS: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
_OPENING = threading.Lock()
"""One for all clouds: what keeps warnings back does so for the whole process."""
_READING = ("GET", "HEAD")
_TOKENS = "/auth/tokens"


class Clock(Protocol):
    """What these adapters need of the clock door."""

    def now(self) -> datetime: ...


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a call may take.

    A write may take longer than the 60 s that Blazar's front waits for its manager: who gives up earlier
    does not learn whether it was done.
    """

    connect: float = 5.0
    read: float = 15.0
    write: float = 75.0


class _Bounded(TCPKeepAliveAdapter):
    """The transport that puts a deadline on every request; neither client library has one by method."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        super().__init__()

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        # Asking for a token changes nothing and may be repeated: it is a question, though it is a POST.
        asks = request.method in _READING or str(request.url).endswith(_TOKENS)
        seconds = self._deadlines.read if asks else self._deadlines.write
        bounds = (self._deadlines.connect, seconds)
        return super().send(request, stream, bounds, verify, cert, proxies)


class Cloud:
    """One cloud of clouds.yaml, found as openstacksdk finds it (`OS_CLIENT_CONFIG_FILE` or the usual places).

    It is opened by the first call and not before, and a file that was wrong is read again by the next:
    who repairs it need not restart the service.
    """

    def __init__(self, name: str, deadlines: Deadlines | None = None) -> None:
        self.name = name
        self._deadlines = deadlines or Deadlines()
        self._region: CloudRegion | None = None
        self._blazar: Any = None

    @property
    def writing(self) -> threading.RLock:
        """Held by whoever changes something in this cloud, whatever adapter of this process it is.

        Blazar checks and then acts, without a lock of its own. Processes need no more than this: only the
        leader writes to a platform.
        """
        return _LOCKS[self.name]

    def service(self, service_type: str) -> Adapter:
        """A client of one service at its address in the catalogue; it looks for no other version.

        :raises Misconfigured: if clouds.yaml has no such cloud.
        """
        region = self._opened()
        return Adapter(
            session=region.get_session(),
            service_type=service_type,
            interface=region.get_interface(service_type),
            region_name=region.get_region_name(service_type),
            endpoint_override=region.get_endpoint(service_type),
        )

    def blazar(self) -> Any:
        """The client of Blazar's version 1.

        :raises Misconfigured: if clouds.yaml has no such cloud.
        """
        region = self._opened()
        with _OPENING:
            if self._blazar is None:
                self._blazar = BlazarClient(
                    session=region.get_session(),
                    service_type=RESERVATION,
                    interface=region.get_interface(RESERVATION),
                    region_name=region.get_region_name(RESERVATION),
                    endpoint_override=region.get_endpoint(RESERVATION),
                )
            return self._blazar

    def _opened(self) -> CloudRegion:
        with _OPENING:
            if self._region is None:
                with speaking(self.name, "clouds.yaml was read"), warnings.catch_warnings():
                    # The loader warns of a feature that nobody here asked for.
                    warnings.simplefilter("ignore", RemovedInSDK60Warning)
                    region = OpenStackConfig().get_one(cloud=self.name)
                    transport = region.get_session().session
                    for scheme in ("http://", "https://"):
                        transport.mount(scheme, _Bounded(self._deadlines))
                self._region = region
            return self._region
