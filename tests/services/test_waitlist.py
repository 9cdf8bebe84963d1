"""The waiting list: what did not fit is offered when it is free, to whoever asked first, and never oversold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from booking import errors
from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.limits import Limits
from booking.allocator.package import Package, Sharing, Size
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.allocator.waitlist import WantedState
from booking.doors import Db, Doors, open_engine
from booking.models import Booking, Inventory, Journal, Pool, Wanted
from booking.scheduler import Scheduler
from booking.services import (
    accounts,
    bookings,
    capacity,
    leadership,
    listing,
    offering,
    packages,
    promising,
    verify,
    visitors,
    waiting,
    waitlist,
)
from booking.services.context import Actor, Context, actor_of
from booking.services.decision import BookingRequest
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site, rendered
from tests.support.threads import in_threads

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SPAN = Span(START + DAY, START + DAY + 3 * HOUR)
NEXT = Span(START + 2 * DAY, START + 2 * DAY + 3 * HOUR)
SOON = Span(START + HOUR, START + 2 * HOUR)
OFFERED, WAITING, TAKEN, GONE = (
    WantedState.OFFERED,
    WantedState.WAITING,
    WantedState.TAKEN,
    WantedState.GONE,
)


@pytest.fixture
def full(site: Site) -> Site:
    """A pool of 8 cores, all of it booked by `zoe` on both days and soon; `half` takes 4 cores, `whole` all."""
    site.pool(8)
    site.package("half", 4)
    site.package("whole", 8)
    for span in (SPAN, NEXT, SOON):
        site.book(site.person("zoe"), "whole", span)
    return site


def want(site: Site, name: str, *spans: Span, package: str = "whole") -> list[str]:
    """Somebody waits for spans; their ids."""
    request = BookingRequest(package, Sharing.RESERVED, spans or (SPAN,))
    return [entry.wanted.id for entry in waitlist.add(site.ctx, site.person(name), request)]


def look(site: Site, wanted_id: str) -> Wanted:
    return site.ctx.db.read("look", lambda session: session.get_one(Wanted, wanted_id))


def free(site: Site, span: Span = SPAN) -> None:
    """Zoe gives back what she has booked at that time."""
    for booking in everything(site):
        if booking.account.name == "zoe" and booking.reservations[0].span == span:
            bookings.cancel(site.ctx, site.person("zoe"), booking.id)


def everything(site: Site) -> list[Booking]:
    return list(site.ctx.db.read("all", lambda s: s.scalars(select(Booking)).unique().all()))


def held(site: Site) -> list[Booking]:
    return [booking for booking in everything(site) if booking.state is State.HELD]


def offer(site: Site) -> None:
    """What the scheduler does: due holds expire, then who waits is looked at."""
    listing.expire_holds(site.ctx)
    epoch = leadership.lead(site.ctx, "test")
    assert epoch is not None
    offering.offer_due(site.ctx, epoch, {})


def acts(site: Site, wanted_id: str) -> list[str]:
    query = select(Journal.action).where(Journal.subject == f"wanted:{wanted_id}").order_by(Journal.id)
    return list(site.ctx.db.read("acts", lambda s: s.scalars(query).all()))


def test_what_becomes_free_is_held_for_who_waits(full: Site, clock: TestClock) -> None:
    (id_,) = want(full, "ann")
    offer(full)
    assert look(full, id_).state is WAITING
    free(full)
    offer(full)
    wanted = look(full, id_)
    assert (wanted.state, wanted.offered_until) == (OFFERED, clock.now() + 2 * HOUR)
    assert wanted.booking_id is not None
    offered = full.look(wanted.booking_id)
    assert (offered.account.name, offered.state, offered.reservations[0].span) == ("ann", State.HELD, SPAN)
    assert offered.reservations[0].expires_at == wanted.offered_until
    with pytest.raises(errors.NoCapacity):
        full.book(full.person("bob"), "half", SPAN)
    assert acts(full, id_) == ["wanted.added", "wanted.offered"]
    assert verify.differences(full.ctx) == []


def test_the_service_and_nobody_else_made_the_offer(full: Site) -> None:
    (id_,) = want(full, "ann")
    free(full)
    offer(full)
    subject = f"booking:{look(full, id_).booking_id}"
    query = select(Journal).where(Journal.subject == subject)
    (entry,) = full.ctx.db.read("journal", lambda s: s.scalars(query).all())
    assert (entry.action, entry.account_id) == ("booking.offered", None)


def test_a_confirmed_offer_is_taken(full: Site) -> None:
    (id_,) = want(full, "ann")
    free(full)
    offer(full)
    booking_id = look(full, id_).booking_id
    assert booking_id is not None
    bookings.confirm(full.ctx, full.person("ann"), booking_id)
    assert (look(full, id_).state, look(full, id_).booking_id) == (TAKEN, booking_id)
    assert full.states(booking_id) == [State.CONFIRMED]
    assert verify.differences(full.ctx) == []


def test_a_lapsed_offer_goes_to_the_next_and_its_span_to_the_end_of_the_line(
    full: Site, clock: TestClock
) -> None:
    (first,) = want(full, "ann")
    clock.advance(MINUTE)
    (second,) = want(full, "bob")
    free(full)
    offer(full)
    assert (look(full, first).state, look(full, second).state) == (OFFERED, WAITING)
    clock.advance(2 * HOUR)
    offer(full)
    assert (look(full, first).state, look(full, second).state) == (WAITING, OFFERED)
    assert look(full, first).lapses == 1


def test_a_second_lapse_ends_the_wait(full: Site, clock: TestClock) -> None:
    (id_,) = want(full, "ann")
    free(full)
    for _ in range(2):
        offer(full)
        assert look(full, id_).state is OFFERED
        clock.advance(2 * HOUR)
    offer(full)
    assert look(full, id_).state is GONE
    assert held(full) == []
    assert acts(full, id_)[-1] == "wanted.gone"
    assert verify.differences(full.ctx) == []


def test_an_offer_is_over_at_its_expiry_whether_or_not_a_scheduler_sees_it(
    full: Site, clock: TestClock
) -> None:
    (id_,) = want(full, "ann")
    free(full)
    offer(full)
    clock.advance(2 * HOUR)
    full.book(full.person("bob"), "whole", SPAN)
    assert look(full, id_).state is WAITING


def test_who_declines_waits_no_longer(full: Site) -> None:
    (id_,) = want(full, "ann")
    free(full)
    offer(full)
    booking_id = look(full, id_).booking_id
    assert booking_id is not None
    bookings.cancel(full.ctx, full.person("ann"), booking_id)
    assert look(full, id_).state is GONE
    full.book(full.person("bob"), "whole", SPAN)


def test_who_withdraws_gives_the_offer_back(full: Site) -> None:
    (id_,) = want(full, "ann")
    free(full)
    offer(full)
    for _ in range(2):
        waitlist.withdraw(full.ctx, full.person("ann"), id_)
    assert (look(full, id_).state, held(full)) == (GONE, [])
    full.book(full.person("bob"), "whole", SPAN)
    assert verify.differences(full.ctx) == []


def test_what_somebody_else_waits_for_is_not_there(full: Site) -> None:
    (id_,) = want(full, "ann")
    with pytest.raises(errors.NotFound):
        waitlist.withdraw(full.ctx, full.person("bob"), id_)
    assert waiting.entries(full.ctx, full.person("bob"), waiting.Query()) == []
    with pytest.raises(errors.Forbidden):
        waiting.entries(full.ctx, full.person("bob"), waiting.Query(account="ann"))


def test_capacity_that_is_taken_away_leaves_the_span_at_its_place(full: Site, clock: TestClock) -> None:
    (id_,) = want(full, "ann")
    free(full)
    offer(full)
    place = look(full, id_).joined_at
    clock.advance(MINUTE)
    (inventory,) = full.ctx.db.read("inventory", lambda s: s.scalars(select(Inventory)).all())
    less = capacity.Holding(inventory.span, Resources(4, 32768), "sold")
    edit = capacity.Edit("pool", Inventory, inventory.id, less)
    capacity.edit(full.ctx, ROOT, replace(edit, on_conflict=capacity.OnConflict.CANCEL))
    assert (look(full, id_).state, look(full, id_).joined_at) == (WAITING, place)
    assert look(full, id_).booking_id is None


def test_a_span_too_large_for_what_is_free_does_not_keep_others_waiting(full: Site) -> None:
    full.package("huge", 16)
    (huge,) = want(full, "ann", package="huge")
    (half,) = want(full, "bob", package="half")
    free(full)
    offer(full)
    assert (look(full, huge).state, look(full, half).state) == (WAITING, OFFERED)


def test_what_fits_now_is_refused_with_the_advice_to_book_it(full: Site) -> None:
    later = Span(SPAN.end, SPAN.end + HOUR)
    with pytest.raises(errors.Conflict) as caught:
        want(full, "ann", SPAN, later)
    assert caught.value.code == "waitlist.free"
    assert "Tue 08 Jan 12:00" in caught.value.detail
    assert waiting.entries(full.ctx, full.person("ann"), waiting.Query()) == []


def test_what_a_rule_forbids_cannot_be_waited_for(full: Site) -> None:
    ann = replace(full.person("ann"), limits=Limits(max_length=HOUR))
    with pytest.raises(errors.PolicyRefused):
        waitlist.add(full.ctx, ann, BookingRequest("whole", Sharing.RESERVED, (SPAN,)))


def test_what_begins_within_a_quarter_of_an_hour_cannot_be_waited_for(full: Site, clock: TestClock) -> None:
    clock.set(SOON.start - 15 * MINUTE)
    with pytest.raises(errors.Invalid) as caught:
        want(full, "ann", SOON)
    assert list(caught.value.errors) == ["spans.0.start"]


def test_a_form_with_faults_is_named(full: Site) -> None:
    ann = full.person("ann")
    request = BookingRequest("whole", Sharing.RESERVED, (SPAN,))
    for fault, path in (
        ({"pool": "moon"}, "pool"),
        ({"package": "none"}, "package"),
        ({"group": "friends"}, "group"),
        ({"spans": (SPAN, SPAN)}, "spans"),
    ):
        with pytest.raises(errors.Invalid) as caught:
            waitlist.add(full.ctx, ann, replace(request, **fault))
        assert list(caught.value.errors) == [path]


def test_asking_again_for_the_same_is_the_same_entry(full: Site) -> None:
    assert want(full, "ann", SPAN) + want(full, "ann", NEXT) == want(full, "ann", SPAN, NEXT)
    assert len(set(want(full, "ann", SPAN) + want(full, "ann", SPAN, package="half"))) == 2


def test_nobody_waits_for_more_than_a_hundred_spans(full: Site) -> None:
    days = [Span(SPAN.start + n * DAY, SPAN.start + n * DAY + HOUR) for n in range(101)]
    full.package("huge", 16)
    want(full, "ann", *days[:100], package="huge")
    with pytest.raises(errors.Conflict) as caught:
        want(full, "ann", days[100], package="huge")
    assert caught.value.code == "waitlist.full"


def test_an_offer_ends_a_quarter_of_an_hour_before_the_start(full: Site) -> None:
    (id_,) = want(full, "ann", SOON)
    free(full, SOON)
    offer(full)
    assert look(full, id_).offered_until == SOON.start - 15 * MINUTE


def test_what_was_not_free_in_time_is_gone(full: Site, clock: TestClock) -> None:
    (id_,) = want(full, "ann", SOON)
    clock.set(SOON.start - 15 * MINUTE)
    offer(full)
    assert (look(full, id_).state, look(full, id_).end_reason) == (GONE, offering.TOO_LATE)


def test_no_offer_goes_beyond_what_the_account_may_have(full: Site) -> None:
    full.person("ann")
    accounts.change(full.ctx, None, "ann", accounts.AccountChange(limits={"core_hours": 24}))
    first, second = want(full, "ann", SPAN, NEXT)
    free(full)
    free(full, NEXT)
    offer(full)
    assert (look(full, first).state, look(full, second).state) == (OFFERED, WAITING)
    waitlist.withdraw(full.ctx, full.person("ann"), first)
    offer(full)
    assert look(full, second).state is OFFERED


def test_a_package_that_is_no_longer_there_cannot_be_waited_for(full: Site) -> None:
    (id_,) = want(full, "ann")
    packages.retire(full.ctx, ROOT, "whole")
    offer(full)
    assert look(full, id_).state is GONE


def test_a_custom_package_is_offered_as_it_was_asked_for(full: Site) -> None:
    custom = Package("custom", 1, Size(1, 1024), Size(2, 1024), 2)
    request = BookingRequest("custom", Sharing.RESERVED, (SPAN,), custom=custom, title="mine")
    (entry,) = waitlist.add(full.ctx, full.person("ann"), request)
    free(full)
    offer(full)
    (offered,) = held(full)
    assert (offered.size.demand, offered.title) == (custom.demand, "mine")
    assert look(full, entry.wanted.id).booking_id == offered.id


def test_an_account_that_is_closed_is_offered_nothing(full: Site) -> None:
    (id_,) = want(full, "ann")
    accounts.change(full.ctx, None, "ann", accounts.AccountChange(disabled=True))
    free(full)
    offer(full)
    assert (look(full, id_).state, held(full)) == (GONE, [])


def test_a_visitor_who_leaves_waits_no_longer(full: Site) -> None:
    account = visitors.try_it(full.ctx)
    visitor = full.ctx.db.read("visitor", lambda s: actor_of(s, accounts.find(s, account.name)))
    anything = replace(visitor, limits=Limits())
    (entry,) = waitlist.add(full.ctx, anything, BookingRequest("whole", Sharing.RESERVED, (SPAN,)))
    visitors.leave(full.ctx, visitor)
    assert look(full, entry.wanted.id).state is GONE


def test_who_comes_first_is_told(full: Site, clock: TestClock) -> None:
    want(full, "ann", SPAN)
    clock.advance(MINUTE)
    want(full, "bob", Span(SPAN.start, SPAN.start + HOUR), NEXT)
    told = waiting.entries(full.ctx, full.person("bob"), waiting.Query())
    assert sorted((entry.wanted.start, entry.before) for entry in told) == [(SPAN.start, 1), (NEXT.start, 0)]


def test_the_scheduler_looks_where_something_has_changed(full: Site, clock: TestClock) -> None:
    scheduler = Scheduler(full.ctx, NullProvisioner(clock), "one")
    (id_,) = want(full, "ann")
    assert scheduler.tick()
    free(full)
    assert scheduler.tick()
    assert look(full, id_).state is OFFERED


def test_a_pool_that_has_not_changed_is_passed_by(full: Site) -> None:
    (id_,) = want(full, "ann")
    free(full)
    epoch = leadership.lead(full.ctx, "test")
    assert epoch is not None
    query = select(Pool.id, Pool.generation)
    (pool,) = full.ctx.db.read("pools", lambda s: s.execute(query).all())
    assert offering.offer_due(full.ctx, epoch, {pool.id: pool.generation}) == {pool.id: pool.generation}
    assert look(full, id_).state is WAITING


def test_who_no_longer_leads_offers_nothing(full: Site) -> None:
    (id_,) = want(full, "ann")
    free(full)
    with pytest.raises(leadership.Deposed):
        offering.offer_due(full.ctx, 1, {})
    assert look(full, id_).state is WAITING


def test_an_offer_that_is_not_committed_leaves_nothing(full: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (id_,) = want(full, "ann")
    free(full)

    def killed(*args: Any) -> None:
        promising.write(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(offering, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        offer(full)
    monkeypatch.undo()
    assert (look(full, id_).state, held(full)) == (WAITING, [])
    offer(full)
    assert (look(full, id_).state, len(held(full))) == (OFFERED, 1)
    assert verify.differences(full.ctx) == []


def test_of_two_who_wait_and_a_third_who_books_exactly_one_gets_what_is_free(
    full: Site, doors: Doors, database_url: str
) -> None:
    ids = [*want(full, "ann"), *want(full, "bob")]
    carl = full.person("carl")
    free(full)
    epoch = leadership.lead(full.ctx, "test")
    assert epoch is not None
    booked: list[str] = []

    def elsewhere() -> Context:
        engine = open_engine(database_url)
        return Context(Doors(doors.clock, doors.ids, Db(engine, doors.clock)), full.ctx.settings)

    def book(actor: Actor) -> None:
        ctx = elsewhere()
        try:
            bookings.book(ctx, actor, BookingRequest("whole", Sharing.RESERVED, (SPAN,)), rendered)
            booked.append(actor.name)
        except errors.Refused:
            pass
        finally:
            ctx.db.engine.dispose()

    def offers() -> None:
        ctx = elsewhere()
        offering.offer_due(ctx, epoch, {})
        ctx.db.engine.dispose()

    in_threads(offers, lambda: book(carl), offers)
    offered = [id_ for id_ in ids if look(full, id_).state is OFFERED]
    assert len(offered) + len(booked) == 1
    assert offered in ([], ids[:1])
    assert len(held(full)) == len(offered)
    assert verify.differences(full.ctx) == []


def test_an_offer_without_its_hold_is_a_difference(full: Site) -> None:
    (id_,) = want(full, "ann")
    free(full)
    offer(full)
    taken = update(Wanted).where(Wanted.id == id_).values(state=TAKEN, offered_until=None)
    full.ctx.db.run("break", lambda session: session.execute(taken))
    (said,) = verify.differences(full.ctx)
    assert said == f"wanted span {id_} is taken but its reservation is held"
