"""The town of a run: what all clients know, and how they ask until they are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from booking.allocator.span import minute_of
from booking.models import Booking
from booking.services.context import Context
from tests.trust.sim.hub import SECOND, Hub
from tests.trust.sim.processes import Web
from tests.trust.sim.promises import Answer, Promises
from tests.trust.sim.rows import Claim

_TRIES = 60
_FAULTS = (0, 503)
"""No answer, and an answer that says to come back."""


def rendered(booking: Booking) -> dict[str, Any]:
    """The body of a 201."""
    return {
        "id": booking.id,
        "revision": booking.revision,
        "reservations": [
            {
                "id": reservation.id,
                "start": minute_of(reservation.start),
                "end": minute_of(reservation.end),
                "expires_at": reservation.expires_at.isoformat() if reservation.expires_at else None,
            }
            for reservation in booking.reservations
        ],
    }


@dataclass
class Town:
    """What all clients know."""

    hub: Hub
    webs: list[Web]
    promises: Promises
    pools: tuple[str, ...]
    edges: list[datetime]
    """The edges of the hours of the run and of some after it."""
    moments: list[int]
    """When clients act: few moments, so that they meet."""
    begins: tuple[int, ...]
    """In how many hours the spans that are asked for begin."""

    def call(
        self, name: str, act: Callable[[Context], Any], asking: tuple[str, list[Claim]] | None = None
    ) -> Answer:
        """Send a request to some web process until there is an answer that is no fault."""
        dice = self.hub.dice
        answer: Answer = (0, None)
        for attempt in range(_TRIES):
            if attempt:
                self.hub.sleep(dice.randrange(1, 20) * SECOND // 2)
            answer = dice.choice(self.webs).ask(name, act, asking)
            said = answer[1] if isinstance(answer[1], dict | str) else ""
            self.hub.note(f"answer {name} {answer[0]} {said}")
            if answer[0] not in _FAULTS:
                return answer
        self.hub.violate("every request is answered in the end", name)
        return answer

    def hour(self) -> int:
        """The number of the current hour."""
        return max(sum(edge <= self.hub.now for edge in self.edges) - 1, 0)
