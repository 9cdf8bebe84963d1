"""Slips of a word or two, as anybody makes them."""

from __future__ import annotations

from booking.allocator.timeline import Timeline
from booking.services import (
    bookings,
    capacity,
    changes,
    clusters,
    decision,
    holds,
    offering,
    snapshots,
    transitions,
)
from tests.trust.bugs.planting import Spade, bug


@bug
def current_cell_refused(spade: Spade) -> None:
    """What begins in the present hour is refused as past."""
    spade.rewrite(decision, "check_spans", "span.start < earliest", "span.start <= earliest")


@bug
def end_of_the_line_never_served(spade: Spade) -> None:
    """The last of those who wait is never asked."""
    spade.rewrite(
        offering, "offer_due", "in _candidates(ctx, pool_id):", "in _candidates(ctx, pool_id)[:-1]:"
    )


@bug
def given_back_from_the_start_of_the_hour(spade: Spade) -> None:
    """Who ends early gives back the hour that still runs."""
    spade.rewrite(
        bookings,
        "end_now",
        "cell_at(pool.zone, now, pool.granularity).end",
        "cell_at(pool.zone, now, pool.granularity).start",
    )


@bug
def nobody_named_in_the_journal(spade: Spade) -> None:
    """The journal says what became of a reservation, and not by whom."""
    spade.rewrite(
        transitions, "move_all", 'actor,\n            f"reservation.', 'None,\n            f"reservation.'
    )


@bug
def only_one_hold_expires(spade: Spade) -> None:
    """Of several holds that are due the first is expired."""
    spade.rewrite(
        holds,
        "expire_due",
        ".order_by(Reservation.id)\n    ).all()",
        ".order_by(Reservation.id).limit(1)\n    ).all()",
    )


@bug
def last_orphan_skipped(spade: Spade) -> None:
    """One of those that nobody wants stays."""
    spade.rewrite(clusters, "sweep", "sorted(orphans):", "sorted(orphans)[:-1]:")


@bug
def teardown_left_for_later(spade: Spade) -> None:
    """What is still there is looked at after ever longer pauses."""
    spade.rewrite(
        clusters,
        "_patience",
        "min(max(ctx.clock.now() - cluster.changed_at, 2 * _SOON), _MOST_PATIENCE)",
        "max(ctx.clock.now() - cluster.changed_at, _MOST_PATIENCE)",
    )


@bug
def snapshot_without_the_newest(spade: Spade) -> None:
    """What was booked since the timeline was last folded is missing after a restart."""
    spade.rewrite(snapshots, "_take", "packed(state.timeline)", "packed(state.base)")


@bug
def longer_within_the_old_limits(spade: Spade) -> None:
    """Of an extension the span before is held to the limits of the level."""
    spade.rewrite(changes, "_check_extension", "demand, (after,), now", "demand, (reservation.span,), now")


@bug
def cached_timeline_changed_in_place(spade: Spade) -> None:
    """What is only tried changes what others read."""
    spade.rewrite(Timeline, "_with_marks", "self.amounts.copy()", "self.amounts")


@bug
def edited_row_counted_twice(spade: Spade) -> None:
    """A blackout that is moved still takes what it took before."""
    spade.rewrite(capacity, "_apply", "if row is not None:", "if row is not None and wanted.holding is None:")
