"""The nearest span in place of a taken one, beside those that are kept."""

from __future__ import annotations

from booking.allocator.package import Sharing
from booking.allocator.search import Alternative, nearest
from booking.allocator.span import Span
from tests.allocator.test_alternatives import LARGE, any_way, at, pool, taken

MORNING = Span(at(23, 9), at(23, 12))


def found(*spans: Span, kept: tuple[Span, ...] = (), **more: object) -> list[Span | None]:
    place = pool([taken(at(23, 8), at(23, 13))])
    allowed = more.get("allowed", any_way)
    assert callable(allowed)
    return nearest(place, LARGE, Sharing.RESERVED, spans, kept, allowed)


def test_the_nearest_is_the_one_of_least_regret() -> None:
    assert found(MORNING) == [Span(at(23, 13), at(23, 16))]


def test_what_is_kept_is_not_overlapped() -> None:
    kept = (Span(at(23, 14), at(23, 15)),)
    assert found(MORNING, kept=kept) == [Span(at(23, 5), at(23, 8))]


def test_two_taken_ones_do_not_get_the_same_place() -> None:
    first, second = found(Span(at(23, 9), at(23, 11)), Span(at(23, 11), at(23, 13)))
    assert first is not None
    assert second is not None
    assert not first.overlaps(second)


def test_what_policy_refuses_is_searched_past() -> None:
    def in_the_evening(alternative: Alternative) -> bool:
        return alternative.spans[0].start >= at(23, 18)

    assert found(MORNING, allowed=in_the_evening) == [Span(at(23, 18), at(23, 21))]


def test_where_nothing_would_do_there_is_none() -> None:
    assert found(MORNING, allowed=lambda _: False) == [None]
