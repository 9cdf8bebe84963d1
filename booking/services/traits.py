"""Traits: what the hardware of a pool has, its own ones, those of its platform, and the platform's name.

Who books in the way `custom` may name some, and is offered only pools that have all of them.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.orm import Session

from booking.allocator.package import Sharing
from booking.errors import Invalid, NotFound, PolicyRefused
from booking.services.marks import PoolName, names

MISSING = "policy.traits_missing"


def check(traits: Collection[str], sharing: Sharing) -> None:
    """:raises Invalid: if traits are named for another way of sharing."""
    if traits and sharing is not Sharing.CUSTOM:
        raise Invalid({"traits": ["are only for the sharing custom"]})


def having(session: Session, traits: Collection[str]) -> list[PoolName]:
    """The pools that have all of them, the first made first."""
    return [pool for pool in names(session) if pool.has(traits)]


def pool_with(session: Session, name: str | None, traits: Collection[str]) -> str:
    """The id of the pool with that id or name, if it has all the traits; without a name, of the first that has.

    :raises NotFound: if there is no such pool.
    :raises PolicyRefused: if it lacks one of them, or every pool does.
    """
    known = names(session)
    asked = [pool for pool in known if name in (None, pool.id, pool.name)]
    if not asked:
        raise NotFound("pool", name)
    fit = [pool for pool in asked if pool.has(traits)]
    if not fit:
        raise _refusal(asked, known, traits)
    return fit[0].id


def _refusal(asked: list[PoolName], known: list[PoolName], traits: Collection[str]) -> PolicyRefused:
    wanted = _said(traits)
    passes = [pool.name for pool in known if pool.has(traits)]
    have = sorted(set[str]().union(*(pool.traits for pool in asked)))
    if passes:
        detail = f"The pool {asked[0].name} has not {wanted}; {_said(passes)} would do."
    else:
        detail = f"No pool has {wanted}."
    rule = {"name": MISSING, "limit": have, "have": sorted(traits), "passes": passes}
    return PolicyRefused(detail, code=MISSING, rule=rule)


def _said(words: Collection[str]) -> str:
    *first, last = sorted(words)
    return f"{', '.join(first)} and {last}" if first else last
