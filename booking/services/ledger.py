"""The ledger: appended to under the lock of its pool, each time under one new generation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, case, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from booking import metrics, together
from booking.allocator.resources import Resources
from booking.allocator.span import Span, minute_of
from booking.allocator.timeline import Entry, Side
from booking.errors import NotFound
from booking.models import Ledger, Platform, Pool
from booking.models.store import columns_of, loaded, table_of
from booking.together import Question

_APPENDED = "appended to the ledger"
_LOCK = (
    select(*columns_of(Pool), *columns_of(Platform))
    .join_from(Pool, Platform, Platform.id == Pool.platform_id)
    .where(Pool.id == bindparam("pool"))
    .with_for_update(of=Pool)
)


def lock_pool(session: Session, pool_id: str, *also: Question) -> Pool:
    """The pool's row, locked until the transaction ends; every change of its timelines holds this lock.

    Under it, and without another wait for the database, `also` is asked; :func:`together.rows` has the answers.

    :raises NotFound: if there is no such pool.
    """
    session.flush()
    lock = Question(_LOCK, {"pool": pool_id})
    with metrics.POOL_LOCK.time():
        together.ask_ahead(session, lock, *also)
    found = together.rows(session, *lock)
    if not found:
        raise NotFound("pool", pool_id)
    pool = loaded(session, Pool, found[0])
    set_committed_value(pool, "platform", loaded(session, Platform, found[0]))
    return pool


_ADVANCE = (
    update(Pool.__table__)  # type: ignore[arg-type]
    .where(Pool.id == bindparam("pool"))
    # The table refuses the negative one: even without the lock, the database itself does not let the second of
    # two promises pass that were decided on one state.
    .values(generation=case((Pool.generation == bindparam("before"), Pool.generation + 1), else_=-1))
)


def append(session: Session, pool: Pool, entries: Iterable[Entry]) -> None:
    """Append entries to the ledger under one new generation; the pool's row must be locked.

    If it was not, and somebody else was quicker, the database refuses at the commit at the latest, and the
    transaction is made again.
    """
    session.info[_APPENDED] = True
    together.forget(session)
    before = pool.generation
    # The row of the pool first: there the database sees whether the lock was held, and says it best.
    together.tell(session, _ADVANCE, {"pool": pool.id, "before": before})
    set_committed_value(pool, "generation", before + 1)
    new = [entry for entry in entries if entry.amount]
    # In the order of the table's columns.
    rows = [(pool.id, pool.generation, seq, *entry) for seq, entry in enumerate(new)]
    together.add(session, table_of(Ledger), rows)


def entries(side: Side, span: Span, amounts: Resources, sign: int = 1) -> list[Entry]:
    """The entries that add (or with sign -1 remove) an amount over a span."""
    start, end = span.minutes
    return [
        Entry(side, start, end, kind, sign * amount) for kind, amount in amounts.amounts().items() if amount
    ]


def moved(side: Side, before: Span, after: Span, amounts: Resources) -> Sequence[Entry]:
    """The entries that turn a claim over one span into the same claim over another."""
    if before.start == after.start:
        edges = sorted((minute_of(before.end), minute_of(after.end)))
        if edges[0] == edges[1]:
            return []
        sign = 1 if after.end > before.end else -1
        return entries(side, Span.of_minutes(*edges), amounts, sign)
    return [*entries(side, before, amounts, -1), *entries(side, after, amounts)]


def has_appended(session: Session) -> bool:
    """Whether this transaction has appended entries, which it may yet take back."""
    return bool(session.info.get(_APPENDED))
