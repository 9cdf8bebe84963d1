"""The board of a day: what starts, runs, ends and has failed; it looks again by itself."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Response, request

from booking.api.noun import needs
from booking.pages.admin.forms import options_of
from booking.pages.calendar.query import read_date
from booking.pages.frame import administrator, context, fragment, kept_by_nobody, page, pages, wants_fragment
from booking.pages.language import gettext, marked
from booking.pages.parts import Part, part_of
from booking.pages.words import Wall
from booking.services import marks, today
from booking.services.today import Board, Line

_LISTS = {
    "starts": (marked("Starts"), marked("Nothing begins on this day.")),
    "runs": (marked("Runs"), marked("Nothing runs now, or for the whole of this day.")),
    "ends": (marked("Ends"), marked("Nothing ends on this day.")),
}


@pages.get("/admin/today")
@needs("admin")
def admin_today() -> Response:
    """A local day of one pool, or of all; nothing is sent where the page has seen it already."""
    actor, ctx = administrator(), context()
    pool, asked = request.args.get("pool") or None, read_date("day", request.args.get("day"))
    pools_ = [] if wants_fragment() else marks.called(ctx)
    if not wants_fragment() and not pools_:
        return page("admin/today.html", actor=actor, board=None)
    board = today.board(ctx, actor, pool, asked)
    if wants_fragment() and request.args.get("seen") == board.tag:
        return kept_by_nobody(Response(status=204))
    now = ctx.clock.now()
    local = now.astimezone(board.zone).date()
    said = _said(pool, asked)
    values = {
        "board": board,
        "parts": _parts(board, said, now if board.day == local else None),
        "lists": {name: (gettext(title), gettext(none)) for name, (title, none) in _LISTS.items()},
        "is_today": board.day == local,
        "refresh": address(said | {"seen": board.tag}),
        "wall_of": _wall_of,
    }
    if wants_fragment():
        return fragment("admin/_today.html", **values)
    around = [board.day - timedelta(days=1), local, board.day + timedelta(days=1)]
    links = [address(_said(pool, None if day == local else day, chosen=False)) for day in around]
    options = options_of(tuple((one.name, one.name) for one in pools_))
    shown = next((one.name for one in pools_ if one.id == board.pool), None)
    return page("admin/today.html", actor=actor, links=links, pools=options, shown=shown, **values)


def _said(pool: str | None, day: date | None, *, chosen: bool = True) -> dict[str, str]:
    """What an address says of a board, with the part of each list that was chosen.

    Today's names no day, so that it goes on at midnight.
    """
    named = {"pool": pool or "", "day": day.isoformat() if day else ""}
    parts = {name: request.args.get(name, "") for name in ("failed", *_LISTS)} if chosen else {}
    return {name: value for name, value in {**named, **parts}.items() if value}


def address(said: dict[str, str]) -> str:
    """The address of a board of which that is said."""
    return f"/admin/today?{urlencode(said)}" if said else "/admin/today"


def _parts(board: Board, said: dict[str, str], now: datetime | None) -> dict[str, Part[Line]]:
    """A part of each list: where it is in order of time, that where the present is, if it is in the day."""
    lists = {"failed": board.failed, "starts": board.starts, "runs": board.runs, "ends": board.ends}
    passed = dict.fromkeys(lists, 0)
    if now is not None:
        passed["starts"] = sum(line.start < now for line in lists["starts"])
        passed["ends"] = sum(line.end < now for line in lists["ends"])
    return {
        name: part_of(lines, name, "/admin/today", said, at=passed[name]) for name, lines in lists.items()
    }


def _wall_of(line: Line) -> Wall:
    return _wall_in(line.timezone)


@lru_cache(maxsize=64)
def _wall_in(timezone: str) -> Wall:
    return Wall(ZoneInfo(timezone))
