"""The first set-up fits the machine, may be interrupted, and is shown once."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest

from booking.allocator.package import CUSTOM, Sharing
from booking.allocator.span import Span
from booking.services import accounts, availability, bookings, packages, setup, tokens, verify, visitors
from booking.services.context import actor_of
from booking.services.decision import BookingRequest
from tests.support.doors import START
from tests.support.site import HOUR, Site, rendered


@pytest.mark.parametrize("cores, memory_mib", [(1, 2048), (2, 4096), (2, 24000), (8, 32768), (64, 262144)])
def test_every_package_fits_the_machine_in_ascending_steps(site: Site, cores: int, memory_mib: int) -> None:
    setup.first(site.ctx, cores, memory_mib, "Asia/Kolkata")
    found = {package.name: package for package in site.ctx.db.read("packages", packages.current)}
    assert set(found) == {"tiny", "small", "medium", "large", CUSTOM}
    sizes = [found[name].demand for name in ("tiny", "small", "medium", "large")]
    assert all(smaller.fits_in(larger) for smaller, larger in pairwise(sizes))
    tomorrow = START.date() + timedelta(days=1)
    answer = availability.availability(
        site.ctx, availability.Question(tomorrow, tomorrow + timedelta(days=1), packages=("large", "tiny"))
    )
    large, tiny = (row.count[0] for row in answer.rows)
    assert 1 <= large <= tiny
    assert answer.timezone == "Asia/Kolkata"


def test_a_visitor_finds_room_even_when_everything_else_is_booked(site: Site) -> None:
    setup.first(site.ctx, 16, 65536, "UTC")
    admin = site.ctx.db.read("admin", lambda s: actor_of(s, accounts.find(s, "admin")))
    span = Span(START, START + HOUR)
    bookings.book(site.ctx, admin, BookingRequest("large", Sharing.RESERVED, (span,)), rendered)
    guest = visitors.try_it(site.ctx)
    visitor = site.ctx.db.read("guest", lambda s: actor_of(s, accounts.find(s, guest.name)))
    bookings.book(site.ctx, visitor, BookingRequest("tiny", Sharing.SHARED, (span,)), rendered)
    assert verify.differences(site.ctx) == []


def test_a_set_up_that_was_interrupted_is_completed_by_the_next(site: Site) -> None:
    setup.first(site.ctx, 4, 8192, "UTC")
    assert setup.is_complete(site.ctx)
    again = setup.first(site.ctx, 4, 8192, "UTC")
    assert accounts.by_password(site.ctx, "admin", again.admin_password).is_admin
    days = availability.Question(date(2030, 2, 1), date(2030, 2, 2), packages=("tiny",))
    assert availability.availability(site.ctx, days).rows[0].count == [2]


def test_the_token_it_made_may_book_and_is_no_administrator(site: Site) -> None:
    made = setup.first(site.ctx, 4, 8192, "UTC")
    actor = tokens.actor_of_bearer(site.ctx, made.token)
    assert actor.may("bookings:write")
    assert not actor.acts_as_admin
