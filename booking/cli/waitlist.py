"""`booking waitlist`: who waits for what."""

from __future__ import annotations

from typing import Any

import click

from booking.cli import context, times
from booking.cli.output import account_option, json_option, print_json, print_table
from booking.services import listing, waiting
from booking.services.context import Actor, Context
from booking.services.waiting import Entry

_A_PAGE = 200


@click.command("waitlist")
@account_option
@json_option
def waitlist_command(account: str | None, *, as_json: bool) -> None:
    """Spans that did not fit and are still wanted, of everybody or of one account, the first made first."""
    ctx = context.open_context()
    found = _all(ctx, context.actor(ctx, account), account or listing.EVERYBODY)
    if as_json:
        print_json({"items": [_as_dict(entry) for entry in found]})
        return
    head = ("id", "account", "package", "start", "end", "state", "until", "before")
    print_table(head, [_line(entry) for entry in found])


def _all(ctx: Context, actor: Actor, account: str) -> list[Entry]:
    found: list[Entry] = []
    after = None
    while True:
        rows = waiting.entries(ctx, actor, waiting.Query(account, after=after, limit=_A_PAGE))
        found += rows[:_A_PAGE]
        if len(rows) <= _A_PAGE:
            return found
        after = found[-1].wanted.created_at, found[-1].wanted.id


def _as_dict(entry: Entry) -> dict[str, Any]:
    wanted = entry.wanted
    return {
        "id": wanted.id,
        "account": wanted.account.name,
        "pool": wanted.pool_id,
        "package": wanted.package_name,
        "sharing": wanted.sharing.value,
        "title": wanted.title,
        "start": times.written(wanted.start),
        "end": times.written(wanted.end),
        "state": wanted.state.value,
        "before": entry.before,
        "booking": wanted.booking_id,
        "until": times.written(wanted.offered_until) if wanted.offered_until else None,
    }


def _line(entry: Entry) -> tuple[object, ...]:
    wanted, zone = entry.wanted, entry.wanted.pool.zone
    until = times.shown(wanted.offered_until, zone) if wanted.offered_until else ""
    ends = (times.shown(wanted.start, zone), times.shown(wanted.end, zone))
    return wanted.id, wanted.account.name, wanted.package_name, *ends, wanted.state, until, entry.before
