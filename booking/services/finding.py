"""Which pool is meant: by id, by name, by the traits that it must have, or none in particular."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from booking.errors import NotFound
from booking.models import Pool
from booking.services import traits
from booking.services.context import Context

_FIRST = select(Pool.id).order_by(Pool.created_at, Pool.id).limit(1)
_NAMED = _FIRST.where((Pool.id == bindparam("name")) | (Pool.name == bindparam("name")))


def find_pool(session: Session, name: str | None, wanted: Collection[str] = ()) -> str:
    """The id of the pool with that id or name; None is the first that was made, of those with the wanted traits.

    :raises NotFound: if there is none.
    :raises PolicyRefused: if it lacks a wanted trait.
    """
    if wanted:
        return traits.pool_with(session, name, wanted)
    query = _FIRST if name is None else _NAMED
    found = session.connection().execute(query, {"name": name} if name is not None else {}).scalar()
    if found is None:
        raise NotFound("pool", name)
    return found


def pool_with(ctx: Context, name: str | None, wanted: Collection[str]) -> str | None:
    """The pool that is meant where it must have these traits; the name as it is where it need not.

    :raises NotFound, PolicyRefused: as :func:`find_pool`.
    """
    return ctx.reader.db.read("pool", lambda s: find_pool(s, name, wanted)) if wanted else name
