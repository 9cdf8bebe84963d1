"""The journal: who did what, and why."""

from __future__ import annotations

import json

from flask import Response, request

from booking.api.noun import needs
from booking.api.paging import cursor_of, moment_and_id
from booking.errors import NotFound
from booking.pages.frame import administrator, context, page, pages
from booking.pages.words import Wall
from booking.services import listing, marks
from booking.services.listing import WantedEntries

_A_PAGE = 50
_LINKS = {"booking": "/bookings/{}", "pool": "/admin/capacity?pool={}"}


@pages.get("/admin/journal")
@needs("admin")
def admin_journal() -> Response:
    """Entries, the newest first; those of an account, an action or a subject where asked."""
    actor, ctx = administrator(), context()
    asked = {name: request.args.get(name, "").strip() for name in ("account", "action", "subject")}
    after = moment_and_id(request.args.get("cursor"))
    account, action, subject = (text or None for text in asked.values())
    wanted = WantedEntries(account=account, action=action, subject=subject, after=after, limit=_A_PAGE)
    fault = ""
    try:
        rows = listing.journal(ctx, actor, wanted)
    except NotFound as error:
        rows, fault = [], error.detail
    shown = rows[:_A_PAGE]
    last = shown[-1].entry if len(rows) > _A_PAGE else None
    pool = marks.chosen(marks.called(ctx), None)
    return page(
        "admin/journal.html",
        actor=actor,
        rows=shown,
        asked=asked,
        fault=fault,
        cursor=cursor_of(last.at.isoformat(), last.id) if last else None,
        wall=Wall(pool.zone) if pool else None,
        link=_link,
        told=lambda detail: ", ".join(
            f"{name} {json.dumps(value)}" for name, value in detail.items() if value != ""
        ),
    )


def _link(subject: str) -> str:
    noun, _, name = subject.partition(":")
    return _LINKS.get(noun, "").format(name)
