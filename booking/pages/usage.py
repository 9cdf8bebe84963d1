"""Usage: what was booked, what of it was used, and what was refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from booking.allocator.usage import Grain
from booking.api.noun import needs
from booking.errors import Invalid
from booking.pages.admin.forms import options_of
from booking.pages.bars import HEIGHT, LEFT, RIGHT, WIDTH, bars, name_of
from booking.pages.calendar.query import one_of, read_date
from booking.pages.frame import context, page, pages, somebody
from booking.pages.language import gettext, marked
from booking.pages.words import Wall
from booking.services import marks, refusals, usage
from booking.services.context import Actor
from booking.services.marks import Called
from booking.services.usage import Amount, By, Question, Usage

_A_DAY = timedelta(days=1)
_BEFORE, _AFTER = 28 * _A_DAY, 7 * _A_DAY
_MOST_BARS = 400
"""A year of days; the API tells more."""
_BY = {By.PACKAGE: marked("package"), By.GROUP: marked("group"), By.ACCOUNT: marked("account")}


@pages.get("/usage")
@needs("bookings:read")
def usage_page() -> Response:
    """One's own usage as bars and tables, for administrators everybody's; four weeks of it unless others are asked for."""
    actor = somebody()
    pools_ = marks.called(context())
    pool = marks.chosen(pools_, request.args.get("pool"))
    values: dict[str, Any] = {
        "actor": actor,
        "pool": pool,
        "pools": options_of(tuple((one.id, one.name) for one in pools_)),
        "grains": list(Grain),
        "bys": {
            by: gettext(label) for by, label in _BY.items() if by is not By.ACCOUNT or actor.acts_as_admin
        },
        "asked": request.args,
        "last_day": lambda question: question.end - _A_DAY,
        "errors": {},
        "found": None,
    }
    if pool is None:
        return page("usage/page.html", **values)
    try:
        question = _question(pool)
        values |= {"question": question} | _answer(actor, pool, question)
    except Invalid as error:
        return page("usage/page.html", 422, **(values | {"errors": error.errors, "question": _usual(pool)}))
    return page("usage/page.html", **values)


def _usual(pool: Called) -> Question:
    today = context().clock.now().astimezone(pool.zone).date()
    return Question(today - _BEFORE, today + _AFTER, pool=pool.id)


def _question(pool: Called) -> Question:
    """What is asked for; the last day belongs to it.

    :raises Invalid: naming each field that cannot be read.
    """
    usual, args = _usual(pool), request.args
    first, last = read_date("from", args.get("from")), read_date("to", args.get("to"))
    return Question(
        first or usual.start,
        last + _A_DAY if last else usual.end,
        one_of(By, "by", args.get("by")) or By.PACKAGE,
        one_of(Grain, "granularity", args.get("granularity")) or Grain.DAY,
        pool.id,
    )


def _answer(actor: Actor, pool: Called, question: Question) -> dict[str, Any]:
    ctx, wall = context(), Wall(pool.zone)
    found = usage.usage(ctx, actor, question)
    if len(found.cells) > _MOST_BARS:
        raise Invalid(
            {
                "to": [
                    gettext(
                        "asks for more than %(count)s bars; ask for less time, or weeks or months",
                        count=_MOST_BARS,
                    )
                ]
            }
        )
    _, refused = refusals.demand(ctx, actor, refusals.Question(question.start, question.end, pool.id))
    window = {
        "from": question.start.isoformat(),
        "to": question.end.isoformat(),
        "pool": pool.id,
        "format": "csv",
    }
    return {
        "found": found,
        "total": Amount.sum(cell.total for cell in found.cells),
        "keys": _by_key(found),
        # What one person books is lost in the outline of a whole pool.
        "chart": bars(found.cells, question.grain, wall, physical=actor.acts_as_admin),
        "frame": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT},
        "refused": refused,
        "wall": wall,
        "name_of": lambda cell: name_of(cell, question.grain, wall),
        "sheet": urlencode({**window, "by": question.by, "granularity": question.grain}),
        "refused_sheet": urlencode(window),
    }


def _by_key(found: Usage) -> list[tuple[str | None, Amount]]:
    """The sums of all cells, the most booked first."""
    amounts: dict[str | None, list[Amount]] = {}
    for cell in found.cells:
        for key, amount in cell.amounts:
            amounts.setdefault(key, []).append(amount)
    sums = [(key, Amount.sum(each)) for key, each in amounts.items()]
    return sorted(sums, key=lambda one: (-one[1].booked, one[0] or ""))
