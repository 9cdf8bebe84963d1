"""Today: what starts, runs, ends and has failed on one local day."""

from __future__ import annotations

from typing import Any

from flask import Response

from booking.api.noun import Noun, written
from booking.api.schemas.fields import stamp
from booking.api.schemas.today import TodayOut, TodayQuery
from booking.identity import context, require_actor
from booking.services import today
from booking.services.today import Line

blp = Noun("today", "What starts, runs, ends and has failed on one day.")


@blp.get("/today")
@blp.needs("admin", 404)
@blp.query(TodayQuery)
@blp.response(200, TodayOut)
def get_today(query: dict[str, Any]) -> Response:
    """The reservations that touch a local day of the pool, or of the first pool for all (administrators)."""
    board = today.board(context(), require_actor(), query.get("pool"), query.get("day"))
    lines = {line.reservation: _line(line) for line in board.lines}
    told = {
        "day": board.day.isoformat(),
        "timezone": board.zone.key,
        "pool": board.pool,
        "starts": [lines[line.reservation] for line in board.starts],
        "runs": [lines[line.reservation] for line in board.runs],
        "ends": [lines[line.reservation] for line in board.ends],
        "failed": [lines[line.reservation] for line in board.failed],
        "is_cut": board.is_cut,
    }
    return written(told)  # hundreds of lines take a serialiser longer than all else


def _line(line: Line) -> dict[str, Any]:
    cluster = None
    if line.phase is not None:
        cluster = {"state": line.phase.value, "detail": line.detail, "attempts": line.attempts}
    return {
        "booking": line.booking,
        "reservation": line.reservation,
        "account": line.account,
        "package": line.package,
        "title": line.title,
        "pool": line.pool,
        "timezone": line.timezone,
        "start": stamp(line.start),
        "end": stamp(line.end),
        "state": line.state.value,
        "end_reason": line.end_reason,
        "at_risk": line.at_risk,
        "cluster": cluster,
    }
