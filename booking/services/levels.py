"""Levels: the limits that come with them, as data that administrators change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.policy import DEFAULT_LIMITS, Limits
from booking.errors import Invalid
from booking.models import Level
from booking.services.accounts import checked_limits
from booking.services.context import Actor, Context, level_limits


def known(ctx: Context) -> dict[int, Limits]:
    """The limits of every level that has some."""

    def read(session: Session) -> dict[int, Limits]:
        set_ = {
            row.level: Limits.from_dict(row.limits)
            for row in session.execute(select(Level.level, Level.limits))
        }
        return dict(sorted((DEFAULT_LIMITS | set_).items()))

    return ctx.db.read("levels", read)


def change(ctx: Context, actor: Actor | None, level: int, changes: Mapping[str, Any]) -> Limits:
    """Change some limits of a level; null lifts one.

    :raises Invalid: if a limit is unknown or has a wrong value.
    """
    if actor is not None:
        actor.require("admin")
    if level < 0:
        raise Invalid({"level": ["is not negative"]})
    checked_limits(changes)

    def write(session: Session) -> Limits:
        limits = level_limits(session, level).overridden(changes)
        row = session.get(Level, level)
        if row is None:
            session.add(Level(level=level, limits=limits.as_dict()))
        else:
            row.limits = limits.as_dict()
        ctx.journal(session, actor, "level.changed", f"level:{level}", changes=dict(changes))
        return limits

    return ctx.db.run("set level", write)
