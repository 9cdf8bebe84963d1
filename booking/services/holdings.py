"""What a pool has and what is withdrawn from it, as it is read."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.errors import NotFound
from booking.models import Blackout, Inventory
from booking.services.context import Actor, Context
from booking.services.finding import find_pool

Table = type[Inventory] | type[Blackout]


def of_kind(ctx: Context, actor: Actor, table: Table, pool: str) -> Sequence[Inventory | Blackout]:
    """Everything a pool has, or that is withdrawn from it, in order of start.

    :raises NotFound: if there is no such pool.
    """
    actor.require("admin")

    def read(session: Session) -> Sequence[Inventory | Blackout]:
        query = select(table).where(table.pool_id == find_pool(session, pool))
        rows = session.scalars(query.order_by(table.start, table.id)).all()
        return [row for row in rows if isinstance(row, Inventory | Blackout)]

    return ctx.db.read("holdings", read)


def of_pool(ctx: Context, actor: Actor, pool_id: str) -> list[tuple[str, Inventory | Blackout]]:
    """What a pool has and then what is withdrawn from it, each by its noun, in order of start."""
    actor.require("admin")

    def read(session: Session) -> list[tuple[str, Inventory | Blackout]]:
        has = select(Inventory).where(Inventory.pool_id == pool_id).order_by(Inventory.start, Inventory.id)
        lacks = select(Blackout).where(Blackout.pool_id == pool_id).order_by(Blackout.start, Blackout.id)
        return [
            *(("inventory", row) for row in session.scalars(has)),
            *(("blackout", row) for row in session.scalars(lacks)),
        ]

    return ctx.db.read("holdings", read)


def one(ctx: Context, actor: Actor, table: Table, pool: str, row_id: str) -> Inventory | Blackout:
    """One of them.

    :raises NotFound: if the pool or the row is not there.
    """
    actor.require("admin")

    def read(session: Session) -> Inventory | Blackout | None:
        pool_id = find_pool(session, pool)
        row = session.get(table, row_id)
        return row if isinstance(row, Inventory | Blackout) and row.pool_id == pool_id else None

    found = ctx.db.read("holding", read)
    if found is None:
        raise NotFound(table.__tablename__, row_id)
    return found
