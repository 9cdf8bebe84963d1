"""The visitors, who come without a name and leave when they like."""

from __future__ import annotations

from booking.allocator.package import Sharing
from booking.allocator.span import Span
from booking.services import accounts, visitors
from booking.services.context import Actor, Context, actor_of
from booking.services.decision import BookingRequest
from tests.trust.sim.clients import Client
from tests.trust.sim.hub import SECOND


class Guest(Client):
    """Somebody who gives it a try: an account without a name, one tiny cluster, and gone."""

    def live(self) -> None:
        for moment in sorted(self.dice.choices(self.town.moments, k=self.acts)):
            if moment > self.hub.micros:
                self.hub.sleep(moment - self.hub.micros)
            self.try_it()

    def try_it(self) -> None:
        status, actor = self.town.call("try", _try)
        if status != 201:
            return
        self.actor = actor
        edges, now = self.town.edges, self.town.hour()
        span = Span(edges[now], edges[min(now + self.dice.randint(1, 3), len(edges) - 1)])
        key = self.title()
        self.request(
            key, BookingRequest("tiny", Sharing.SHARED, (span,), pool=self.town.pools[0], title=key), "level0"
        )
        if self.mine[-1].answered and self.dice.random() < 0.5:
            self.extend()
        if self.dice.random() < 0.5:
            self.hub.sleep(self.dice.randrange(7200) * SECOND)
            for promise in self.mine:
                promise.cancel_asked = True
            status, _ = self.town.call("leave", lambda ctx: visitors.leave(ctx, actor))
            for promise in self.mine:
                promise.cancelled = status == 201 and promise.answered is not None


def _try(ctx: Context) -> Actor:
    account = visitors.try_it(ctx)
    return ctx.db.read("actor", lambda session: actor_of(session, accounts.find(session, account.id)))
