"""The administrator: takes capacity away and gives it back, keeping or cancelling what stood on it."""

from __future__ import annotations

from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.models import Blackout
from booking.services import capacity
from booking.services.capacity import Edit, Holding, OnConflict, PoolChange
from booking.services.context import Context
from tests.trust.sim.clients import Client


class Admin(Client):
    """One administrator, who looks before repeating what got no answer."""

    def live(self) -> None:
        self.rows: dict[str, str] = {}
        for moment in sorted(self.dice.choices(self.town.moments, k=self.acts)):
            if moment > self.hub.micros:
                self.hub.sleep(moment - self.hub.micros)
            lot = self.dice.random()
            if lot < 0.2:
                self.share()
            elif self.rows and lot < 0.5:
                self.give_back()
            elif self.rows and lot < 0.65:
                self.move()
            else:
                self.take_away()

    def take_away(self) -> None:
        """A blackout over some hours; sometimes its impact is looked at first."""
        edges, now = self.town.edges, self.town.hour()
        start = min(now + self.dice.randint(0, 3), len(edges) - 2)
        span = Span(edges[start], edges[min(start + self.dice.randint(1, 4), len(edges) - 1)])
        holding = Holding(span, Resources(self.dice.randint(1, 8), 1024 * self.dice.randint(0, 8)), "a test")
        pool = self.dice.choice(self.town.pools)
        if self.dice.random() < 0.5:
            wanted = Edit(pool, Blackout, None, holding, dry_run=True)
            self.town.call("capacity", lambda ctx: len(capacity.edit(ctx, self.actor, wanted).conflicts))
        on_conflict = self.dice.choice(
            (OnConflict.KEEP, OnConflict.KEEP, OnConflict.CANCEL, OnConflict.REFUSE)
        )
        self.edit(Edit(pool, Blackout, None, holding, on_conflict))

    def give_back(self) -> None:
        row = self.dice.choice(sorted(self.rows))
        self.edit(Edit(self.rows[row], Blackout, row, None, OnConflict.KEEP))
        self.rows.pop(row, None)

    def move(self) -> None:
        """Another span and size for a blackout that is there."""
        row, edges = self.dice.choice(sorted(self.rows)), self.town.edges
        start = min(self.town.hour() + self.dice.randint(0, 3), len(edges) - 2)
        span = Span(edges[start], edges[min(start + self.dice.randint(1, 4), len(edges) - 1)])
        holding = Holding(span, Resources(self.dice.randint(1, 8), 1024 * self.dice.randint(0, 8)), "moved")
        self.edit(Edit(self.rows[row], Blackout, row, holding, OnConflict.KEEP))

    def edit(self, wanted: Edit) -> None:
        status, row = self.town.call("capacity", lambda ctx: _row(ctx, self, wanted))
        if status == 201 and row is not None and wanted.holding is not None:
            self.rows[row] = wanted.pool

    def share(self) -> None:
        """Another share ratio for a while, and never one below what the run began with."""
        ratio = self.dice.choice((1000, 1500, 2000, 3000))
        pool = self.dice.choice(self.town.pools)
        self.town.call(
            "pool",
            lambda ctx: capacity.change_pool(ctx, self.actor, pool, PoolChange(share_ratio_milli=ratio)).id,
        )


def _row(ctx: Context, admin: Admin, wanted: Edit) -> str | None:
    row = capacity.edit(ctx, admin.actor, wanted).row
    return None if row is None else row.id
