"""What a platform really has, as inventory, blackouts and reserved time of its pool, kept fresh.

Hosts and strangers count in the first pool that was made on their platform. A host becomes an entry of
inventory from the day it is first seen; while it is down or no longer listed, it is withdrawn by a blackout.
What strangers have reserved counts as reserved. Bookings that no longer fit are flagged as at risk: a machine
that died asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import inspect, or_, select
from sqlalchemy.orm import Session

from booking.adapters.base import Host as SeenHost
from booking.adapters.base import Ports, ProvisionerError
from booking.adapters.base import Stranger as SeenStranger
from booking.allocator.cells import day_start
from booking.allocator.resources import Resources
from booking.allocator.span import FOREVER, Span, floor_minute
from booking.allocator.timeline import Entry, Side
from booking.models import Blackout, Host, Inventory, Pool, Stranger
from booking.models.pool import as_amounts
from booking.services import capacity, holds, platforms
from booking.services.context import Context
from booking.services.leadership import still_leading
from booking.services.ledger import append, entries, lock_pool
from booking.services.platforms import Setup
from booking.services.strangers import INQUIRY, LAPSES, Piece, whole

_GONE = "It is no longer listed."


def refresh(ctx: Context, epoch: int, setup: Setup, ports: Ports) -> int:
    """Read what the platform has and write what differs; how many rows were changed.

    :raises Deposed: if somebody else leads by now.
    :raises ProvisionerError: if the platform cannot be asked, or suddenly lists no host at all.
    """
    pool_id = ctx.db.read("pool of a platform", lambda session: platforms.first_pool(session, setup.id))
    if pool_id is None:
        return 0
    began = ctx.clock.now()
    hosts = None if ports.stock is None else {host.name: host for host in ports.stock.hosts()}
    strangers = None if ports.pledges is None else _current(ctx, ports.pledges.strangers())

    def write(session: Session) -> int:
        still_leading(ctx, session, epoch)
        pool = lock_pool(session, pool_id)
        holds.expire_due(ctx, session, pool, ctx.clock.now())
        sync = _Sync(ctx, session, pool, setup)
        if hosts is not None:
            sync.hosts(hosts)
        if strangers is not None:
            sync.strangers(strangers, began)
        return sync.finish()

    return ctx.db.run("stock", write)


def _current(ctx: Context, seen: Iterable[SeenStranger]) -> dict[str, SeenStranger]:
    """Those that are not over, by reference."""
    return {one.reference: one for one in seen if whole(one.starts_at, one.ends_at).end > ctx.clock.now()}


def _piece(one: SeenStranger) -> Piece:
    return whole(one.starts_at, one.ends_at), Resources(one.cores, one.memory_mib)


@dataclass
class _Sync:
    """One comparison under the lock of the pool."""

    ctx: Context
    session: Session
    pool: Pool
    setup: Setup
    changes: list[Entry] = field(default_factory=list)
    touched: int = 0

    @property
    def now(self) -> datetime:
        return floor_minute(self.ctx.clock.now())

    def hosts(self, seen: Mapping[str, SeenHost]) -> None:
        known = {
            row.name: row
            for row in self.session.scalars(select(Host).where(Host.platform_id == self.setup.id))
        }
        if known and not seen:
            raise ProvisionerError("It lists no host at all, though it had some.")
        for name in sorted(seen.keys() | known.keys()):
            row, host = known.get(name), seen.get(name)
            if row is None and host is not None:
                row = self._found(host)
            if row is not None:
                self._sized(row, host)
                self._up(row, host)

    def _found(self, host: SeenHost) -> Host:
        today = self.ctx.clock.now().astimezone(self.pool.zone).date()
        first = day_start(self.pool.zone, today)
        row = Host(
            id=self.ctx.ids.new(),
            platform_id=self.setup.id,
            pool_id=self.pool.id,
            name=host.name,
            is_up=True,
            detail="",
            inventory_id=self._add(Inventory, Span(first, FOREVER), _amounts(host), f"host {host.name}"),
            blackout_id=None,
            changed_at=self.ctx.clock.now(),
            **as_amounts(_amounts(host)),
        )
        self.session.add(row)
        self._told("host.found", row)
        return row

    def _sized(self, row: Host, host: SeenHost | None) -> None:
        """Own it as it is now; an entry that somebody removed is made again."""
        amounts = row.resources if host is None else _amounts(host)
        if amounts == row.resources and self.session.get(Inventory, row.inventory_id) is not None:
            return
        self._end(Inventory, row.inventory_id)
        span = Span(self.now, FOREVER)
        row.inventory_id = self._add(Inventory, span, amounts, f"host {row.name}")
        for kind, amount in as_amounts(amounts).items():
            setattr(row, kind, amount)
        if row.blackout_id is not None:
            self._end(Blackout, row.blackout_id)
            row.blackout_id = self._add(Blackout, span, amounts, f"host {row.name}: {row.detail}")
        self._told("host.changed", row)

    def _up(self, row: Host, host: SeenHost | None) -> None:
        detail = _why_down(host)
        if row.is_up is not bool(detail):
            return
        row.is_up, row.detail = not detail, detail
        if row.blackout_id is not None:
            self._end(Blackout, row.blackout_id)
            row.blackout_id = None
        if detail:
            reason = f"host {row.name}: {detail}"
            row.blackout_id = self._add(Blackout, Span(self.now, FOREVER), row.resources, reason)
        self._told("host.up" if row.is_up else "host.down", row)

    def strangers(self, seen: Mapping[str, SeenStranger], began: datetime) -> None:
        """Own them as they were seen; what was inquired about shortly before is waited for."""
        is_ahead = or_(
            Stranger.end > self.now, Stranger.reference.in_(seen), Stranger.inquired_at.is_not(None)
        )
        query = select(Stranger).where(Stranger.platform_id == self.setup.id, is_ahead)
        rows = self.session.scalars(query.order_by(Stranger.inquired_at, Stranger.id)).all()
        known = {row.reference: row for row in rows}
        for one in seen.values():
            if one.reference not in known and (row := _asked_for(rows, one)) is not None:
                row.reference, known[one.reference] = one.reference, row
        changed = {row.reference for row in rows if not _is_as_seen(row, seen)}
        for row in rows:
            is_read = row.reference in seen
            if is_read:
                row.inquired_at = None
                row.owner, row.name = seen[row.reference].owner, seen[row.reference].name
            lapses = row.inquired_at is None or row.inquired_at + LAPSES <= began
            # A change that was allowed shows in the one that changes.
            if row.reference in changed and (lapses or row.grows in changed):
                self._forget(row)
        self.session.flush()
        for one in seen.values():
            if one.reference not in known or inspect(known[one.reference]).deleted:
                self._meet(one)

    def _meet(self, one: SeenStranger) -> None:
        span, amounts = _piece(one)
        row = Stranger(
            id=self.ctx.ids.new(),
            platform_id=self.setup.id,
            pool_id=self.pool.id,
            reference=one.reference,
            start=span.start,
            end=span.end,
            owner=one.owner,
            name=one.name,
            **as_amounts(amounts),
        )
        self.session.add(row)
        self.changes += entries(Side.RESERVED, span, amounts)
        self.touched += 1

    def _forget(self, row: Stranger) -> None:
        self.changes += entries(Side.RESERVED, row.span, row.resources, -1)
        self.session.delete(row)
        self.touched += 1

    def _add(
        self, table: type[Inventory] | type[Blackout], span: Span, amounts: Resources, reason: str
    ) -> str:
        row = table(
            id=self.ctx.ids.new(),
            pool_id=self.pool.id,
            start=span.start,
            end=span.end,
            reason=f"{reason} (platform {self.setup.name})"[:500],
            created_at=self.ctx.clock.now(),
            **as_amounts(amounts),
        )
        self.session.add(row)
        self.changes += entries(Side.PHYSICAL, span, amounts, 1 if table is Inventory else -1)
        return row.id

    def _end(self, table: type[Inventory] | type[Blackout], row_id: str) -> None:
        """Let an entry end now; one that would be over before it began is removed."""
        row = self.session.get(table, row_id)
        if not isinstance(row, Inventory | Blackout) or row.end <= self.now:
            return
        rest = Span(max(row.start, self.now), row.end)
        self.changes += entries(Side.PHYSICAL, rest, row.resources, -1 if table is Inventory else 1)
        if row.start >= self.now:
            self.session.delete(row)
        else:
            row.end = self.now

    def _told(self, action: str, row: Host) -> None:
        self.touched += 1
        row.changed_at = self.ctx.clock.now()
        subject = f"pool:{self.pool.id}"
        self.ctx.journal(self.session, None, action, subject, host=row.name, detail=row.detail)

    def finish(self) -> int:
        if self.changes:
            self.session.flush()
            append(self.session, self.pool, self.changes)
            capacity.flag(self.ctx, self.session, self.pool)
        return self.touched


def _is_as_seen(row: Stranger, seen: Mapping[str, SeenStranger]) -> bool:
    one = seen.get(row.reference)
    return one is not None and _piece(one) == (row.span, row.resources)


def _asked_for(rows: Iterable[Stranger], one: SeenStranger) -> Stranger | None:
    """The first inquiry that this came of: its owner's, of that name and span.

    Whose it is may not be ours to read; then the span has to do.
    """
    span, is_told = whole(one.starts_at, one.ends_at), bool(one.owner or one.name)
    for row in rows:
        is_open = row.inquired_at is not None and row.grows is None and row.reference.startswith(INQUIRY)
        is_its = not is_told or (row.owner, row.name) == (one.owner, one.name)
        if is_open and is_its and row.span == span:
            return row
    return None


def _why_down(host: SeenHost | None) -> str:
    """Empty if it is up."""
    if host is None:
        return _GONE
    return "" if host.is_up else host.detail or "It is down."


def _amounts(host: SeenHost) -> Resources:
    return Resources(host.cores, host.memory_mib, host.gpus, host.disk_gib)
