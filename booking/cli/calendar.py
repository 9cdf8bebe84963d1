"""`booking availability`: the calendar as a drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import click
from dateutil.relativedelta import relativedelta

from booking.allocator.lifecycle import COUNTED
from booking.allocator.span import Span
from booking.cli import context, times
from booking.cli.options import trait_option
from booking.cli.output import json_option, print_json
from booking.cli.reading import bookings_of, pool_named
from booking.errors import Invalid
from booking.services import drawing
from booking.services.availability import Answer, availability
from booking.services.context import Context

_WEEK = timedelta(weeks=1)
_STARTS: dict[str, Callable[[date], date]] = {
    "today": lambda day: day,
    "tomorrow": lambda day: day + timedelta(days=1),
    "next-week": lambda day: day + _WEEK - timedelta(days=day.weekday()),
    "next-month": lambda day: day.replace(day=1) + relativedelta(months=1),
}


@click.command("availability")
@click.option("--view", type=click.Choice(drawing.VIEWS), default="week", show_default=True)
@click.option("--pool", help="Name or id; the first pool if not given.")
@trait_option
@click.option(
    "--start",
    default="today",
    show_default=True,
    help=f"A date of the view: 2026-11-23, {', '.join(_STARTS)}.",
)
@click.option("--account", metavar="NAME", help="Mark the bookings of this account.")
@json_option
def availability_command(
    view: str,
    pool: str | None,
    traits: tuple[str, ...],
    start: str,
    account: str | None,
    *,
    as_json: bool,
) -> None:
    """Draw what is free: `===` free for the whole day, `---` not, `[###]` booked by --account.

    With --json the counts: how many fit for the whole day, and how many at its best moment.
    """
    ctx = context.open_context()
    found = pool_named(ctx, pool, traits)
    today = ctx.clock.now().astimezone(found.zone).date()
    asked = replace(drawing.question(view, _day(start, today), found.id), best=as_json)
    answer = availability(ctx, asked, context.actor_named(ctx, account) if account else None)
    if as_json:
        print_json(_as_dict(answer))
    else:
        click.echo(
            f"{found.name}, {found.timezone}, from {answer.cells[0][0].astimezone(found.zone):%a %d %b %Y}\n"
        )
        click.echo(drawing.draw(answer, _mine(ctx, account, found.id)), nl=False)


def _day(text: str, today: date) -> date:
    if text in _STARTS:
        return _STARTS[text](today)
    try:
        return date.fromisoformat(text)
    except ValueError:
        known = ", ".join(_STARTS)
        raise Invalid({"start": [f"{text!r} is not a date; write 2026-11-23, {known}"]}) from None


def _mine(ctx: Context, account: str | None, pool_id: str) -> dict[str, list[Span]]:
    """The counted spans of an account in a pool, by package."""
    mine: dict[str, list[Span]] = {}
    for booking in bookings_of(ctx, account, ended_too=False) if account else ():
        if booking.pool_id == pool_id:
            spans = [r.span for r in booking.reservations if r.state in COUNTED]
            mine.setdefault(booking.package_name, []).extend(spans)
    return mine


def _as_dict(answer: Answer) -> dict[str, Any]:
    cells = [(times.written(start), times.written(end)) for start, end in answer.cells]
    return {
        "generation": answer.pool.generation,
        "timezone": answer.timezone,
        "granularity": answer.granularity.value,
        "packages": [
            {
                "package": row.package.name,
                "version": row.package.version,
                "cells": [
                    {"start": start, "end": end, "count": count, "best": best}
                    for (start, end), count, best in zip(cells, row.count, row.best, strict=True)
                ],
            }
            for row in answer.rows
        ],
    }
