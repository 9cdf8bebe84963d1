"""What cells say to the ear, in the language of the page: looked up once for a grid, filled in for each cell."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from booking.pages.language import current, gettext, ngettext


class Labels(NamedTuple):
    """The sentences; those of :meth:`free` and :meth:`hours` have places for what differs."""

    past: str
    far: str
    none: str
    mine: str
    left: str
    between: str

    def free(self, count: int) -> str:
        return self.left % {"count": count}

    def part(self, longest: int) -> str:
        return _part(longest, current())

    def hours(self, start: str, end: str) -> str:
        return self.between % {"start": start, "end": end}


def labels() -> Labels:
    """The sentences in the language of the page."""
    return Labels(
        gettext("past"),
        gettext("further ahead than your level may book"),
        gettext("not available"),
        gettext("yours"),
        gettext("available, %(count)s left"),
        gettext("%(start)s to %(end)s"),
    )


@lru_cache(maxsize=256)
def _part(longest: int, code: str) -> str:
    """By the language, too, for which it is kept."""
    return ngettext(
        "part of the day: up to %(count)s hour in a row",
        "part of the day: up to %(count)s hours in a row",
        longest,
    )
