"""The journal: who did what, and when."""

from __future__ import annotations

from typing import Any

from booking.api import showing
from booking.api.noun import Noun
from booking.api.paging import moment_and_id, page
from booking.api.schemas.accounts import JournalQuery
from booking.api.schemas.bookings import EntryList
from booking.api.windows import instant_from
from booking.identity import context, require_actor
from booking.services import listing

blp = Noun("journal", "The append-only record of who did what.")


@blp.get("/journal")
@blp.needs("admin", 404)
@blp.query(JournalQuery)
@blp.response(200, EntryList)
def list_journal(query: dict[str, Any]) -> dict[str, Any]:
    """Entries, the newest first; `action` may be the beginning of several: booking (administrators)."""
    wanted = listing.WantedEntries(
        account=query.get("account"),
        action=query.get("action"),
        subject=query.get("subject"),
        start=instant_from(query.get("start")),
        end=instant_from(query.get("end")),
        after=moment_and_id(query.get("cursor")),
        limit=query["limit"],
    )
    rows = listing.journal(context(), require_actor(), wanted)
    return page(
        rows, query["limit"], showing.shown_entry, lambda told: (told.entry.at.isoformat(), told.entry.id)
    )
