"""Accounts: what a password, a token and a level open, and what they do not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from booking import errors
from booking.doors import Db, Doors
from booking.services import accounts, levels, tokens, visitors
from booking.services.accounts import AccountChange, NewAccount
from booking.services.context import Context
from tests.support.doors import TestClock
from tests.support.site import ROOT, Site

READ = ("bookings:read",)
DAY = timedelta(days=1)


def test_a_password_opens_its_account_and_a_wrong_one_tells_nothing(site: Site) -> None:
    accounts.create(site.ctx, None, NewAccount("ann", "correct horse"))
    assert accounts.by_password(site.ctx, "ann", "correct horse").name == "ann"
    said = set()
    for name, password in (("ann", "wrong horse"), ("nobody", "correct horse")):
        with pytest.raises(errors.Unauthenticated) as caught:
            accounts.by_password(site.ctx, name, password)
        said.add(caught.value.detail)
    assert len(said) == 1


def test_a_disabled_account_is_shut_to_password_token_and_session(site: Site) -> None:
    made = accounts.create(site.ctx, None, NewAccount("ann", "correct horse"))
    token = tokens.make(site.ctx, None, "ann", READ).secret
    assert accounts.by_session(site.ctx, made.id, 0) is not None
    accounts.change(site.ctx, ROOT, "ann", AccountChange(disabled=True))
    with pytest.raises(errors.Unauthenticated):
        accounts.by_password(site.ctx, "ann", "correct horse")
    with pytest.raises(errors.Unauthenticated):
        tokens.actor_of_bearer(site.ctx, token)
    assert accounts.by_session(site.ctx, made.id, 0) is None


def test_a_new_password_ends_every_session(site: Site) -> None:
    made = accounts.create(site.ctx, None, NewAccount("ann", "correct horse"))
    accounts.change(site.ctx, ROOT, "ann", AccountChange(password="another horse"))
    assert accounts.by_session(site.ctx, made.id, 0) is None
    assert accounts.by_session(site.ctx, made.id, 1) is not None


def test_a_token_is_stored_as_a_hash_expires_and_can_be_revoked(site: Site, clock: TestClock) -> None:
    ann = site.person("ann")
    first = tokens.make(site.ctx, ann, "ann", READ, life=DAY)
    second = tokens.make(site.ctx, ann, "ann", READ, life=3 * DAY)
    assert first.secret not in first.row.hash
    clock.advance(DAY)
    with pytest.raises(errors.Unauthenticated):
        tokens.actor_of_bearer(site.ctx, first.secret)
    tokens.revoke(site.ctx, ann, second.row.id)
    with pytest.raises(errors.Unauthenticated):
        tokens.actor_of_bearer(site.ctx, second.secret)


def test_a_token_grants_neither_more_nor_longer_than_it_has(site: Site) -> None:
    site.person("ann")
    holder = tokens.actor_of_bearer(site.ctx, tokens.make(site.ctx, None, "ann", READ, life=DAY).secret)
    assert holder.until is not None
    child = tokens.make(site.ctx, holder, "ann", READ, life=30 * DAY)
    assert child.row.expires_at == holder.until
    for scopes in (("bookings:write",), ("admin",)):
        with pytest.raises(errors.Forbidden):
            tokens.make(site.ctx, holder, "ann", scopes)
    site.person("bob")
    with pytest.raises(errors.NotFound):
        tokens.make(site.ctx, holder, "bob", READ)


def test_an_administrators_token_without_the_scope_is_no_administrator(site: Site) -> None:
    site.person("boss", admin=True)
    actor = tokens.actor_of_bearer(site.ctx, tokens.make(site.ctx, None, "boss", READ).secret)
    assert not actor.acts_as_admin
    with pytest.raises(errors.Forbidden):
        accounts.create(site.ctx, actor, NewAccount("friend"))


def test_levels_are_data_that_an_administrator_changes(site: Site) -> None:
    assert site.person("ann", level=1).limits.max_concurrent == 5
    levels.change(site.ctx, ROOT, 1, {"max_concurrent": 2, "packages": None})
    ann = site.person("ann")
    assert (ann.limits.max_concurrent, ann.limits.packages) == (2, None)
    accounts.change(site.ctx, ROOT, "ann", AccountChange(limits={"max_concurrent": 9}))
    assert site.person("ann").limits.max_concurrent == 9
    assert site.person("boss", level=0, admin=True).limits == type(ann.limits)()


@pytest.mark.parametrize("limits", [{"colour": 3}, {"max_length": "long"}, {"core_hours": -1}])
def test_a_limit_that_is_none_is_named(site: Site, limits: dict[str, object]) -> None:
    with pytest.raises(errors.Invalid) as caught:
        levels.change(site.ctx, ROOT, 1, limits)
    assert list(caught.value.errors) == [f"limits.{next(iter(limits))}"]


def test_a_name_is_taken_once(site: Site) -> None:
    site.person("ann")
    with pytest.raises(errors.Conflict):
        accounts.create(site.ctx, ROOT, NewAccount("ann"))


def test_a_short_password_is_refused(site: Site) -> None:
    with pytest.raises(errors.Invalid):
        accounts.create(site.ctx, ROOT, NewAccount("ann", "short"))


def test_a_visitor_has_level_0_and_an_end(site: Site, clock: TestClock) -> None:
    guest = visitors.try_it(site.ctx)
    assert guest.level == 0
    assert accounts.by_session(site.ctx, guest.id, 0) is not None
    clock.advance(timedelta(hours=site.ctx.settings.anonymous_hours))
    assert accounts.by_session(site.ctx, guest.id, 0) is None


def test_of_eight_who_take_a_name_at_once_one_gets_it(
    site: Site, doors: Doors, database_url: str, opened: Callable[[str], Engine]
) -> None:
    outcomes: list[str] = []
    gate = threading.Barrier(8)

    def run() -> None:
        db = Db(opened(database_url), doors.clock)
        ctx = Context(Doors(doors.clock, doors.ids, db), site.ctx.settings)
        gate.wait()
        try:
            accounts.create(ctx, None, NewAccount("ann"))
            outcomes.append("made")
        except errors.Conflict:
            outcomes.append("taken")

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["taken"] * 7
