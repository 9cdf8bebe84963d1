"""Those who wait for what did not fit: they take what is offered, give it back, let it lapse, or give up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from booking.allocator.waitlist import WantedState
from booking.services import bookings, waiting, waitlist
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest
from tests.trust.sim.hub import SECOND
from tests.trust.sim.town import Town

_LOOKS = 4
_PAUSE = 45 * 60 * SECOND


class Waiter:
    """One refused request on the waiting list."""

    def __init__(self, town: Town, actor: Actor, refused: BookingRequest) -> None:
        self.town, self.actor, self.dice = town, actor, town.hub.dice
        self.wish = replace(refused, title=f"{refused.title} later", hold=None)
        self.wanted: dict[str, str] = {}
        """The entries with their titles; one that was there already has the title of its first wish."""

    def wait(self) -> None:
        """Ask to be put on the list, and look at it now and then."""
        status, found = self.town.call("wait", self._add)
        if status != 201:  # by now it fits, or begins too soon
            return
        self.wanted = found
        for _ in range(_LOOKS):
            self.town.hub.sleep(self.dice.randrange(_PAUSE))
            if self.dice.random() < 0.1:
                self._give_up()
            status, offered = self.town.call("offers", self._offered)
            for booking_id in offered if status == 201 else ():
                self._answer(booking_id)

    def _add(self, ctx: Context) -> dict[str, str]:
        return {entry.wanted.id: entry.wanted.title for entry in waitlist.add(ctx, self.actor, self.wish)}

    def _offered(self, ctx: Context) -> list[str]:
        query = waiting.Query(state=WantedState.OFFERED)
        entries = waiting.entries(ctx, self.actor, query)
        return [str(entry.wanted.booking_id) for entry in entries if entry.wanted.id in self.wanted]

    def _answer(self, booking_id: str) -> None:
        """Take an offer, give it back, or forget it."""
        acts: list[Callable[[Context], Any]] = [
            lambda ctx: bookings.confirm(ctx, self.actor, booking_id).id,
            lambda ctx: bookings.cancel(ctx, self.actor, booking_id).id,
        ]
        take, give_back = acts
        act = self.dice.choices([take, give_back, None], [6, 1, 2])[0]
        if act is give_back:
            self.town.promises.given_back.update(self.wanted.values())
        if act is not None:
            self.town.call("answer an offer", act)

    def _give_up(self) -> None:
        self.town.promises.given_back.update(self.wanted.values())
        for wanted_id in self.wanted:
            self.town.call("withdraw", partial(waitlist.withdraw, actor=self.actor, wanted_id=wanted_id))
