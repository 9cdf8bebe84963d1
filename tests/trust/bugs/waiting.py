"""Mistakes with who waits: people in line for what is taken, and clusters that are not ready yet."""

from __future__ import annotations

from booking.services import clusters, offering, transitions
from tests.trust.bugs.planting import Spade, bug


@bug
def last_come_first_served(spade: Spade) -> None:
    """The line is walked from its end."""
    spade.rewrite(
        offering,
        "_candidates",
        "order_by(Wanted.joined_at, Wanted.id)",
        "order_by(Wanted.joined_at.desc(), Wanted.id)",
    )


@bug
def lapses_not_counted(spade: Spade) -> None:
    """Who lets every offer lapse is offered again for ever."""
    spade.rewrite(transitions, "settle", "wanted.lapses += 1", "wanted.lapses += 0")


@bug
def lapsed_keeps_its_place(spade: Spade) -> None:
    """Who has let an offer lapse is the first to be offered the next."""
    spade.rewrite(transitions, "settle", "wanted.joined_at = ctx.clock.now()", "pass")


@bug
def one_lapse_too_many(spade: Spade) -> None:
    """A span is gone only after one offer more than the rules say."""
    spade.rewrite(transitions, "settle", "after_lapse(wanted.lapses)", "after_lapse(wanted.lapses - 1)")


@bug
def lapsed_waits_no_more(spade: Spade) -> None:
    """The first offer that nobody takes is the last."""
    spade.rewrite(transitions, "settle", "after_lapse(wanted.lapses)", "after_lapse(wanted.lapses + 1)")


@bug
def never_given_up(spade: Spade) -> None:
    """A cluster that is being made for ever is waited for."""
    spade.rewrite(
        clusters,
        "_note_starting",
        "elif cluster.changed_at + timedelta",
        "elif False and cluster.changed_at + timedelta",
    )
