"""Promises: all or none, once per key, and exactly one for the last unit."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking import errors
from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.package import Package, Sharing, Size
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.doors import Db, Doors, open_engine
from booking.models import Booking, Ledger, Pool, Work
from booking.services import accounts, availability, bookings, changes, verify
from booking.services.context import Context
from booking.services.decision import BookingRequest
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, Site, rendered

MORNING = Span(START + HOUR, START + 4 * HOUR)
NOON = Span(START + 4 * HOUR, START + 6 * HOUR)


@pytest.fixture
def ready(site: Site) -> Site:
    """A pool of 8 cores; `half` takes 4 of them, `whole` all."""
    site.pool(8)
    site.package("half", 4)
    site.package("whole", 8)
    return site


def count_rows(site: Site, table: type) -> int:
    return site.ctx.db.read(
        "count", lambda session: session.scalar(select(func.count()).select_from(table)) or 0
    )


def free(site: Site, package: str, span: Span, sharing: Sharing = Sharing.RESERVED) -> list[int]:
    question = availability.Question(
        span.start, span.end, granularity=Granularity.HOUR, packages=(package,), sharing=sharing
    )
    return availability.availability(site.ctx, question).rows[0].count


def test_a_booking_takes_its_demand_for_exactly_its_span(ready: Site) -> None:
    ready.book(ready.person("ann"), "half", MORNING)
    around = Span(MORNING.start - HOUR, MORNING.end + HOUR)
    assert free(ready, "half", around) == [2, 1, 1, 1, 2]


def test_the_best_moment_of_each_cell_is_counted_where_it_is_asked_for(ready: Site) -> None:
    ready.book(ready.person("ann"), "half", MORNING)
    day = MORNING.start.date()
    question = availability.Question(day, day + timedelta(days=1), packages=("half",))
    (row,) = availability.availability(ready.ctx, question).rows
    (whole,) = availability.availability(ready.ctx, replace(question, best=True)).rows
    assert (row.count, row.best) == ([1], [])
    assert (whole.count, whole.best) == ([1], [2])


def test_all_spans_are_promised_or_none(ready: Site) -> None:
    ann = ready.person("ann")
    ready.book(ann, "whole", NOON)
    before = count_rows(ready, Ledger)
    with pytest.raises(errors.NoCapacity):
        ready.book(ann, "half", MORNING, NOON)
    assert count_rows(ready, Booking) == 1
    assert count_rows(ready, Ledger) == before


def test_spans_that_only_touch_fit_one_after_the_other(ready: Site) -> None:
    ann = ready.person("ann")
    ready.book(ann, "whole", MORNING)
    ready.book(ann, "whole", NOON)
    assert verify.differences(ready.ctx) == []


@pytest.mark.parametrize(
    "spans, path",
    [
        ([], "spans"),
        ([Span(START + HOUR / 2, START + HOUR)], "spans.0.start"),
        ([Span(START + HOUR, START + HOUR * 1.5)], "spans.0.end"),
        ([MORNING, Span(START - HOUR, START)], "spans.1.start"),
        ([MORNING, Span(MORNING.start + HOUR, MORNING.end + HOUR)], "spans"),
        ([Span(START + HOUR, START + timedelta(days=800))], "spans.0.end"),
        ([Span(START + timedelta(days=300_000), START + timedelta(days=300_001))], "spans.0.end"),
    ],
)
def test_a_span_off_the_grid_is_named_and_nothing_is_written(
    ready: Site, spans: list[Span], path: str
) -> None:
    with pytest.raises(errors.Invalid) as caught:
        ready.book(ready.person("ann"), "half", *spans)
    assert path in caught.value.errors
    assert count_rows(ready, Booking) == 0


def test_a_span_may_start_in_the_current_cell(ready: Site, clock: TestClock) -> None:
    clock.set(START + HOUR / 3)
    ready.book(ready.person("ann"), "half", Span(START, START + HOUR))
    assert free(ready, "half", Span(START, START + HOUR)) == [1]


def test_an_unknown_package_pool_or_group_is_named(ready: Site) -> None:
    ann = ready.person("ann")
    for request, path in (
        (BookingRequest("huge", Sharing.RESERVED, (MORNING,)), "package"),
        (BookingRequest("half", Sharing.RESERVED, (MORNING,), pool="moon"), "pool"),
        (BookingRequest("half", Sharing.RESERVED, (MORNING,), group="friends"), "group"),
        (BookingRequest("custom", Sharing.RESERVED, (MORNING,)), "custom"),
    ):
        with pytest.raises(errors.Invalid) as caught:
            bookings.book(ready.ctx, ann, request, rendered)
        assert list(caught.value.errors) == [path]


def test_a_custom_package_brings_its_sizes(ready: Site) -> None:
    custom = Package("custom", 1, Size(1, 1024), Size(3, 2048), 2)
    request = BookingRequest("custom", Sharing.RESERVED, (MORNING,), custom=custom)
    made = bookings.book(ready.ctx, ready.person("ann"), request, rendered).booking
    assert made.size.demand == Resources(cores=7, memory_mib=5120)
    assert free(ready, "half", MORNING) == [0, 0, 0]


def test_shared_demand_is_rounded_up_in_total(site: Site) -> None:
    site.pool(4, share_ratio_milli=3000)
    site.package("pair", 2)
    ann = site.person("ann")
    for _ in range(3):
        site.book(ann, "pair", MORNING, sharing=Sharing.SHARED)
    assert free(site, "pair", MORNING) == [1, 1, 1]
    assert free(site, "pair", MORNING, Sharing.SHARED) == [3, 3, 3]


def test_the_same_key_and_body_answer_the_same_booking(ready: Site) -> None:
    ann, request = ready.person("ann"), BookingRequest("half", Sharing.RESERVED, (MORNING,))
    key = bookings.Idempotency("k1", "body")
    first = bookings.book(ready.ctx, ann, request, rendered, key)
    again = bookings.book(ready.ctx, ann, request, rendered, key)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.answer == first.answer
    assert count_rows(ready, Booking) == 1


def test_a_key_used_with_another_body_is_refused(ready: Site) -> None:
    ann, request = ready.person("ann"), BookingRequest("half", Sharing.RESERVED, (MORNING,))
    bookings.book(ready.ctx, ann, request, rendered, bookings.Idempotency("k1", "body"))
    with pytest.raises(errors.IdempotencyMismatch):
        bookings.book(ready.ctx, ann, request, rendered, bookings.Idempotency("k1", "another"))


def test_a_key_is_forgotten_after_24_hours(ready: Site, clock: TestClock) -> None:
    ann, key = ready.person("ann"), bookings.Idempotency("k1", "body")
    later = Span(MORNING.start + timedelta(days=3), MORNING.end + timedelta(days=3))
    first = bookings.book(ready.ctx, ann, BookingRequest("half", Sharing.RESERVED, (later,)), rendered, key)
    clock.advance(bookings.KEY_LIFE)
    again = bookings.book(ready.ctx, ann, BookingRequest("half", Sharing.RESERVED, (later,)), rendered, key)
    assert not again.replayed
    assert again.booking.id != first.booking.id


def test_a_key_belongs_to_its_account(ready: Site) -> None:
    request, key = BookingRequest("half", Sharing.RESERVED, (MORNING,)), bookings.Idempotency("k1", "body")
    for name in ("ann", "bob"):
        assert not bookings.book(ready.ctx, ready.person(name), request, rendered, key).replayed


def test_a_hold_counts_until_its_expiry_and_not_at_it(ready: Site, clock: TestClock) -> None:
    made = ready.book(ready.person("ann"), "whole", MORNING, hold=timedelta(minutes=5))
    assert free(ready, "half", MORNING) == [0, 0, 0]
    clock.advance(timedelta(minutes=5))
    assert free(ready, "half", MORNING) == [2, 2, 2]
    assert ready.states(made.id) == [State.EXPIRED]
    assert verify.differences(ready.ctx) == []


def test_a_confirmed_hold_stays(ready: Site, clock: TestClock) -> None:
    ann = ready.person("ann")
    made = ready.book(ann, "whole", MORNING, hold=timedelta(minutes=5))
    bookings.confirm(ready.ctx, ann, made.id)
    clock.advance(timedelta(minutes=6))
    assert ready.states(made.id) == [State.CONFIRMED]
    assert free(ready, "half", MORNING) == [0, 0, 0]
    assert verify.differences(ready.ctx) == []


def test_an_expired_hold_cannot_be_confirmed(ready: Site, clock: TestClock) -> None:
    ann = ready.person("ann")
    made = ready.book(ann, "whole", MORNING, hold=timedelta(minutes=5))
    clock.advance(timedelta(minutes=5))
    with pytest.raises(errors.Conflict):
        bookings.confirm(ready.ctx, ann, made.id)


def test_an_expired_hold_makes_room_for_a_promise_before_any_sweep(ready: Site, clock: TestClock) -> None:
    ready.book(ready.person("ann"), "whole", MORNING, hold=timedelta(minutes=5))
    clock.advance(timedelta(minutes=5))
    ready.book(ready.person("bob"), "whole", MORNING)


def test_a_cancelled_booking_gives_its_time_back_and_may_be_cancelled_again(ready: Site) -> None:
    ann = ready.person("ann")
    made = ready.book(ann, "whole", MORNING)
    for _ in range(2):
        bookings.cancel(ready.ctx, ann, made.id)
    assert ready.states(made.id) == [State.CANCELLED]
    assert free(ready, "whole", MORNING) == [1, 1, 1]


def test_somebody_elses_booking_is_not_there(ready: Site) -> None:
    made, bob = ready.book(ready.person("ann"), "half", MORNING), ready.person("bob")
    with pytest.raises(errors.NotFound):
        bookings.cancel(ready.ctx, bob, made.id)
    with pytest.raises(errors.NotFound):
        bookings.confirm(ready.ctx, bob, made.id)
    with pytest.raises(errors.NotFound):
        changes.change(ready.ctx, bob, made.id, changes.Change(title="mine"), None)
    with pytest.raises(errors.NotFound):
        bookings.share(ready.ctx, bob, made.id, "bob", shared=True)


def test_a_guest_sees_a_booking_and_cannot_change_it(ready: Site) -> None:
    ann, bob = ready.person("ann"), ready.person("bob")
    made = ready.book(ann, "half", MORNING)
    bookings.share(ready.ctx, ann, made.id, "bob", shared=True)
    assert ready.ctx.db.read("see", lambda s: bookings.visible(s, bob, made.id).id) == made.id
    with pytest.raises(errors.NotFound):
        bookings.cancel(ready.ctx, bob, made.id)
    bookings.share(ready.ctx, ann, made.id, "bob", shared=False)
    with pytest.raises(errors.NotFound):
        ready.ctx.db.read("see", lambda s: bookings.visible(s, bob, made.id))


def test_an_extension_is_promised_only_where_there_is_room(ready: Site) -> None:
    ann = ready.person("ann")
    made = ready.book(ann, "whole", MORNING)
    ready.book(ready.person("bob"), "whole", Span(MORNING.end + HOUR, MORNING.end + 2 * HOUR))
    reservation = made.reservations[0].id
    changes.change(
        ready.ctx, ann, made.id, changes.Change(ends={reservation: MORNING.end + HOUR}), made.revision
    )
    with pytest.raises(errors.NoCapacity):
        changes.change(
            ready.ctx, ann, made.id, changes.Change(ends={reservation: MORNING.end + 2 * HOUR}), None
        )
    assert ready.only(made.id).end == MORNING.end + HOUR
    assert verify.differences(ready.ctx) == []


def test_a_change_of_an_older_state_is_stale(ready: Site) -> None:
    ann = ready.person("ann")
    made = ready.book(ann, "half", MORNING)
    changes.change(ready.ctx, ann, made.id, changes.Change(title="one"), made.revision)
    with pytest.raises(errors.Stale):
        changes.change(ready.ctx, ann, made.id, changes.Change(title="two"), made.revision)
    assert ready.look(made.id).title == "one"


@pytest.mark.parametrize("offset", [timedelta(hours=-9), timedelta(0), HOUR / 2, timedelta(days=900)])
def test_an_end_that_breaks_a_rule_is_named(ready: Site, offset: timedelta) -> None:
    ann = ready.person("ann")
    made = ready.book(ann, "half", MORNING)
    reservation = made.reservations[0].id
    wanted = changes.Change(ends={reservation: MORNING.start + offset})
    with pytest.raises(errors.Invalid) as caught:
        changes.change(ready.ctx, ann, made.id, wanted, None)
    assert list(caught.value.errors) == [f"reservations.{reservation}.end"]
    assert ready.only(made.id).end == MORNING.end


def test_a_rehearsed_change_writes_nothing(ready: Site) -> None:
    ann = ready.person("ann")
    made = ready.book(ann, "half", MORNING)
    wanted = changes.Change(ends={made.reservations[0].id: MORNING.end + HOUR})
    shown = changes.change(ready.ctx, ann, made.id, wanted, None, dry_run=True)
    assert shown.reservations[0].end == MORNING.end + HOUR
    assert ready.only(made.id).end == MORNING.end
    assert free(ready, "half", Span(MORNING.end, MORNING.end + HOUR)) == [2]


def test_a_preview_decides_everything_and_writes_nothing(ready: Site) -> None:
    ann = ready.person("ann", level=1)
    accounts.change(ready.ctx, None, "ann", accounts.AccountChange(limits={"packages": ["half"]}))
    ann = ready.person("ann", level=1)
    request = BookingRequest("half", Sharing.RESERVED, (MORNING,))
    decision = bookings.preview(ready.ctx, ann, request)
    assert decision.quota.cost == 12
    assert (count_rows(ready, Booking), count_rows(ready, Work)) == (0, 0)
    assert free(ready, "half", MORNING) == [2, 2, 2]


def test_a_refusal_names_the_rule_and_alternatives_that_pass_it(ready: Site) -> None:
    ready.person("ann", level=1)
    accounts.change(
        ready.ctx, None, "ann", accounts.AccountChange(limits={"packages": ["half"], "max_length": "PT2H"})
    )
    ann = ready.person("ann", level=1)
    with pytest.raises(errors.PolicyRefused) as caught:
        ready.book(ann, "half", MORNING)
    assert caught.value.code == "policy.too_long"
    assert caught.value.rule["passes"] == "PT2H"
    assert caught.value.alternatives
    for alternative in caught.value.alternatives:
        spans = [
            Span(datetime.fromisoformat(s["start"]), datetime.fromisoformat(s["end"]))
            for s in alternative["request"]["spans"]
        ]
        made = ready.book(ann, alternative["request"]["package"], *spans)
        bookings.cancel(ready.ctx, ann, made.id)


def test_level_0_draws_on_its_standing_reservation_and_leaves_the_rest_alone(site: Site) -> None:
    site.pool(8, reserve=Resources(cores=2, memory_mib=2048), share_ratio_milli=2000)
    site.package("tiny", 2)
    site.package("rest", 6)
    site.book(site.person("ann"), "rest", Span(START, START + HOUR))
    guests = [site.person(f"guest{n}", level=0) for n in range(3)]
    for guest in guests[:2]:
        site.book(guest, "tiny", Span(START, START + HOUR), sharing=Sharing.SHARED)
    with pytest.raises(errors.NoCapacity):
        site.book(guests[2], "tiny", Span(START, START + HOUR), sharing=Sharing.SHARED)
    assert verify.differences(site.ctx) == []


def test_of_sixteen_who_want_the_last_unit_exactly_one_gets_it(
    ready: Site, doors: Doors, database_url: str
) -> None:
    people = [ready.person(f"p{n}") for n in range(16)]
    outcomes: list[str] = []
    gate = threading.Barrier(16)

    def run(number: int) -> None:
        engine = open_engine(database_url)  # its own connections and its own cache, as another process has
        ctx = Context(Doors(doors.clock, doors.ids, Db(engine, doors.clock)), ready.ctx.settings)
        gate.wait()
        try:
            request = BookingRequest("whole", Sharing.RESERVED, (MORNING,))
            bookings.book(ctx, people[number], request, rendered)
            outcomes.append("promised")
        except errors.NoCapacity as refusal:
            outcomes.append("refused" if refusal.alternatives else "refused without a way out")
        finally:
            engine.dispose()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["promised"] + ["refused"] * 15
    assert verify.differences(ready.ctx) == []


def test_the_same_key_from_eight_clients_makes_one_booking(
    ready: Site, doors: Doors, database_url: str
) -> None:
    ann, found = ready.person("ann"), set()
    gate = threading.Barrier(8)

    def run() -> None:
        engine = open_engine(database_url)
        ctx = Context(Doors(doors.clock, doors.ids, Db(engine, doors.clock)), ready.ctx.settings)
        gate.wait()
        request = BookingRequest("half", Sharing.RESERVED, (MORNING,))
        found.add(bookings.book(ctx, ann, request, rendered, bookings.Idempotency("k", "b")).booking.id)
        engine.dispose()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert count_rows(ready, Booking) == 1


def test_a_transaction_that_does_not_commit_leaves_no_trace_in_the_cache(ready: Site) -> None:
    ann = ready.person("ann")
    ready.book(ann, "half", MORNING)
    bookings.preview(ready.ctx, ann, BookingRequest("half", Sharing.RESERVED, (NOON,)))
    with pytest.raises(errors.NoCapacity):
        ready.book(ann, "whole", NOON, MORNING)
    generation = ready.ctx.db.read("generation", lambda s: s.scalar(select(Pool.generation)))
    assert free(ready, "half", Span(MORNING.start, NOON.end)) == [1, 1, 1, 2, 2]
    assert ready.ctx.db.read("generation", lambda s: s.scalar(select(Pool.generation))) == generation
    assert verify.differences(ready.ctx) == []
