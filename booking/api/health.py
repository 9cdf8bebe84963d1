"""Whether the service lives, and whether it can do its work."""

from __future__ import annotations

import logging
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from booking import migrate
from booking.api import problems
from booking.api.noun import PUBLIC, Noun
from booking.errors import Unavailable
from booking.identity import context
from booking.services import audit, leadership, pausing

log = logging.getLogger(__name__)
blp = Noun("health", "For those who watch the service.", url_prefix=None)


class HealthOut(Schema):
    status = fields.String(required=True)


@blp.get("/healthz")
@blp.needs(PUBLIC)
@blp.response(200, HealthOut)
def get_alive() -> dict[str, str]:
    """Alive: this process answers."""
    return {"status": "alive"}


@blp.get("/readyz")
@blp.needs(PUBLIC)
@blp.response(200, HealthOut)
def get_ready() -> Any:
    """Ready: the database is reachable, migrated, and a scheduler does what is due, not paused, no pool at fault."""
    if missing := _missing():
        answer = problems.problem(503, "service.not_ready", f"Not ready: {missing}.", missing=[missing])
        answer.headers["Retry-After"] = str(problems.RETRY_SECONDS)
        return answer
    return {"status": "ready"}


def _missing() -> str:
    """What is missing first; what depends on it cannot be asked for."""
    ctx = context()
    try:
        ctx.db.read("ready", lambda session: session.execute(text("SELECT 1")))
        if not migrate.is_current(ctx.db.engine):
            return "the database is not migrated to this release"
        if not leadership.is_led(ctx):
            return "no scheduler has led for a while"
        if why := pausing.reason(ctx):
            return f"the scheduler is paused: {why}"
        for pool, reason in audit.closed(ctx).items():
            return f"the pool {pool} is closed: {reason}"
    except (Unavailable, SQLAlchemyError) as error:
        log.warning("not ready: %s", error)
        return "the database cannot be reached"
    return ""
