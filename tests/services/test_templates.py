"""Cards: what a click on one books, for whom, and from when on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.doors import Doors
from booking.errors import Forbidden, Invalid, NoCapacity, NotFound, PolicyRefused
from booking.models import Booking, Template
from booking.services import accounts, packages, templates, visitors
from booking.services.bookings import Idempotency
from booking.services.context import Actor, actor_of
from booking.services.templates import Card
from tests.support.doors import TestClock
from tests.support.site import HOUR, ROOT, Site, make_site, rendered

URL = "https://example.org/curves.ipynb"


@pytest.fixture
def site(doors: Doors) -> Site:
    site = make_site(doors)
    site.pool(8)
    for name, cores in (("tiny", 1), ("half", 4), ("whole", 8)):
        site.package(name, cores)
    return site


@pytest.fixture
def now(clock: TestClock) -> datetime:
    """The beginning of an hour."""
    return clock.now()


def put_up(site: Site, package: str = "half", hours: int = 2, **more: object) -> Template:
    return templates.make(site.ctx, ROOT, Card("Curves of light", package, hours * HOUR, **more))  # type: ignore[arg-type]


def click(site: Site, who: Actor, card: Template, key: Idempotency | None = None) -> Booking:
    return templates.book(site.ctx, who, card.id, rendered, key).booking


def actor(site: Site, name: str) -> Actor:
    """Who was not made by the test."""
    return site.ctx.db.read(name, lambda session: actor_of(session, accounts.find(session, name)))


def span(booking: Booking) -> Span:
    (reservation,) = booking.reservations
    return reservation.span


def test_a_click_books_what_the_card_offers_from_now(site: Site, now: datetime) -> None:
    made = click(site, site.person("ann"), put_up(site, notebook_url=URL))
    assert (made.title, made.notebook_url, made.package_name) == ("Curves of light", URL, "half")
    assert (span(made), made.state) == (Span(now, now + 2 * HOUR), State.CONFIRMED)


def test_within_an_hour_it_lasts_the_length_from_now_and_to_the_end_of_an_hour(
    site: Site, clock: TestClock, now: datetime
) -> None:
    card = put_up(site)
    clock.advance(timedelta(minutes=50))
    assert span(click(site, site.person("ann"), card)) == Span(now, now + 3 * HOUR)


def test_where_the_level_allows_no_more_it_lasts_what_is_left(
    site: Site, clock: TestClock, now: datetime
) -> None:
    card = put_up(site, "tiny", 4, sharing=Sharing.SHARED)
    clock.advance(timedelta(minutes=50))
    trial = actor(site, visitors.try_it(site.ctx).name)
    assert span(click(site, trial, card)) == Span(now, now + 4 * HOUR)


def test_it_is_booked_later_where_the_present_is_taken(site: Site, now: datetime) -> None:
    site.book(site.person("bob"), "whole", Span(now, now + 3 * HOUR))
    card = put_up(site)
    (seen,) = templates.listed(site.ctx, None)
    assert seen.span == Span(now + 3 * HOUR, now + 5 * HOUR)
    assert span(click(site, site.person("ann"), card)) == seen.span


def test_two_clicks_are_two_bookings_and_the_same_key_is_one(site: Site) -> None:
    ann, card, key = site.person("ann"), put_up(site, "whole"), Idempotency("one", "same")
    first = click(site, ann, card, key)
    assert click(site, ann, card, key).id == first.id
    second = click(site, ann, card)
    assert span(second).start == span(first).end


def test_a_key_is_answered_although_nothing_is_free_any_more(site: Site, clock: TestClock) -> None:
    card, key = put_up(site, "whole"), Idempotency("one", "same")
    first = click(site, site.person("ann"), card, key)
    horizon = site.ctx.horizon(clock.now())
    rest = Span(span(first).end, horizon.replace(minute=0, second=0, microsecond=0))
    site.book(site.person("bob"), "whole", rest)
    assert click(site, site.person("ann"), card, key).id == first.id
    with pytest.raises(NoCapacity):
        click(site, site.person("ann"), card)


def test_a_refusal_names_the_rule_and_what_would_do(site: Site) -> None:
    site.person("ann", level=1)
    card = put_up(site, "half")
    with pytest.raises(PolicyRefused) as refused:
        click(site, site.person("ann"), card)
    assert refused.value.code == "policy.package_not_allowed"
    assert [offer["request"]["package"] for offer in refused.value.alternatives][:1] == ["tiny"]
    assert refused.value.alternatives[0]["request"]["title"] == "Curves of light"


def test_where_nothing_is_free_the_refusal_tells_what_is(site: Site, now: datetime, clock: TestClock) -> None:
    horizon = site.ctx.horizon(clock.now()).replace(minute=0, second=0, microsecond=0)
    site.book(site.person("bob"), "half", Span(now, horizon))
    card = put_up(site, "whole")
    assert [seen.span for seen in templates.listed(site.ctx, None)] == [None]
    with pytest.raises(NoCapacity) as refused:
        click(site, site.person("ann"), card)
    assert {offer["kind"] for offer in refused.value.alternatives} >= {"smaller"}


def test_a_trial_is_offered_what_is_set_aside_for_it(doors: Doors, now: datetime) -> None:
    site = make_site(doors)
    site.pool(8, reserve=Resources(1, 1024))
    site.package("tiny", 1)
    site.package("rest", 7)
    site.book(site.person("bob"), "rest", Span(now, now + 3 * HOUR))
    card = put_up(site, "tiny", 1, sharing=Sharing.SHARED)
    trial = actor(site, visitors.try_it(site.ctx).name)
    assert templates.offered(site.ctx, site.person("ann"), card.id).span == Span(
        now + 3 * HOUR, now + 4 * HOUR
    )
    assert templates.offered(site.ctx, trial, card.id).span == Span(now, now + HOUR)


def test_cards_stand_in_their_order_and_hidden_ones_are_for_administrators(site: Site) -> None:
    for title, position, shown in (("b", 1, True), ("a", 1, True), ("first", 0, True), ("draft", 0, False)):
        card = Card(title, "tiny", HOUR, position=position, shown=shown)
        templates.make(site.ctx, ROOT, card)
    ann, root = site.person("ann"), site.person("root", admin=True)
    assert [seen.template.title for seen in templates.listed(site.ctx, ann)] == ["first", "a", "b"]
    everything = templates.listed(site.ctx, root, hidden=True)
    assert [seen.template.title for seen in everything] == ["draft", "first", "a", "b"]
    draft = everything[0].template
    for ask in (
        lambda: templates.offered(site.ctx, ann, draft.id),
        lambda: click(site, ann, draft),
    ):
        with pytest.raises(NotFound):
            ask()
    for nobody in (None, ann):
        with pytest.raises(Forbidden):
            templates.listed(site.ctx, nobody, hidden=True)


def test_a_card_of_a_retired_package_offers_nothing(site: Site) -> None:
    card = put_up(site)
    packages.retire(site.ctx, ROOT, "half")
    (seen,) = templates.listed(site.ctx, None)
    assert (seen.package, seen.span) == (None, None)
    with pytest.raises(Invalid, match="package"):
        click(site, site.person("ann"), card)


@pytest.mark.parametrize(
    "changes",
    [
        {"package": "huge"},
        {"package": "custom"},
        {"pool": "moon"},
        {"length": timedelta(0)},
        {"length": timedelta(seconds=90)},
    ],
)
def test_a_card_names_what_is_there(site: Site, changes: dict[str, object]) -> None:
    card = put_up(site)
    with pytest.raises(Invalid, match=next(iter(changes))):
        templates.change(site.ctx, ROOT, card.id, changes)


def test_a_card_is_changed_and_taken_down_and_what_is_booked_from_it_stays(site: Site, now: datetime) -> None:
    ann, card = site.person("ann"), put_up(site)
    made = click(site, ann, card)
    templates.change(site.ctx, ROOT, card.id, {"title": "Spectra", "length": HOUR, "pool": "pool"})
    again = click(site, ann, card)
    assert (again.title, span(again)) == ("Spectra", Span(now, now + HOUR))
    templates.remove(site.ctx, ROOT, card.id)
    with pytest.raises(NotFound):
        click(site, ann, card)
    assert site.look(made.id).title == "Curves of light"


def test_only_administrators_write_cards(site: Site) -> None:
    card, ann = put_up(site), site.person("ann")
    for act in (
        lambda: templates.make(site.ctx, ann, Card("x", "tiny", HOUR)),
        lambda: templates.change(site.ctx, ann, card.id, {"title": "x"}),
        lambda: templates.remove(site.ctx, ann, card.id),
    ):
        with pytest.raises(Forbidden):
            act()
