"""What every act is given, and who asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from dateutil.relativedelta import relativedelta
from sqlalchemy import Row
from sqlalchemy.orm import Session

from booking.allocator.policy import DEFAULT_LIMITS, Limits
from booking.config import Settings
from booking.doors import Clock, Db, Doors, Ids
from booking.errors import Forbidden
from booking.models import Account, AccountKind, Journal, Level
from booking.models.store import made
from booking.services.catalogue import Catalogue
from booking.services.timelines import Timelines

_months = lru_cache(lambda number: relativedelta(months=number))
STRANGERS = "strangers:write"
SCOPES = ("availability:read", "bookings:read", "bookings:write", "accounts:read", STRANGERS, "admin")
FOR_ADMINS = frozenset({STRANGERS, "admin"})
"""What nobody may who is no administrator, whatever a token says."""


@dataclass(frozen=True)
class Actor:
    """Who asks: an account with what it may do just now."""

    id: str
    name: str
    kind: AccountKind
    level: int
    is_admin: bool
    limits: Limits
    scopes: frozenset[str] = frozenset(SCOPES)
    """A token may carry fewer rights than its account has."""
    until: datetime | None = None
    """When the token it comes with expires; what it grants ends with it."""

    def may(self, scope: str) -> bool:
        if scope in FOR_ADMINS and not self.is_admin:
            return False
        return scope in self.scopes or "admin" in self.scopes

    def require(self, scope: str) -> None:
        """:raises Forbidden: if the actor may not do what the scope stands for."""
        if not self.may(scope):
            raise Forbidden(f"This needs the right {scope}.")

    @property
    def acts_as_admin(self) -> bool:
        """Whether other people's things are open to this actor."""
        return self.may("admin")


@dataclass(frozen=True)
class Context:
    """The doors, the settings and the caches of one process."""

    doors: Doors
    settings: Settings
    timelines: Timelines = field(default_factory=Timelines)
    catalogue: Catalogue = field(default_factory=Catalogue)
    replica: Context | None = None
    """The same over a standby, with caches of its own."""

    @property
    def reader(self) -> Context:
        """Where calendars are read: at the replica if there is one. Nothing is decided on what is found there."""
        return self.replica or self

    @property
    def clock(self) -> Clock:
        return self.doors.clock

    @property
    def ids(self) -> Ids:
        return self.doors.ids

    @property
    def db(self) -> Db:
        return self.doors.db

    def horizon(self, now: datetime) -> datetime:
        """How far ahead may be booked."""
        return now + _months(self.settings.horizon_months)

    def journal(
        self, session: Session, actor: Actor | None, action: str, subject: str, **detail: Any
    ) -> None:
        """Append who did what; in the transaction of the act itself."""
        session.add(self.entry(actor, action, subject, **detail))

    def entry(self, actor: Actor | None, action: str, subject: str, **detail: Any) -> Journal:
        """Who did what, to be appended to the journal."""
        return made(
            Journal,
            id=self.ids.new(),
            at=self.clock.now(),
            account_id=(actor.id or None) if actor else None,
            action=action,
            subject=subject,
            detail=detail,
        )


def level_limits(session: Session, level: int) -> Limits:
    """The limits of a level: as set, else its defaults, else none."""
    row = session.get(Level, level)
    if row is not None:
        return Limits.from_dict(row.limits)
    return DEFAULT_LIMITS.get(level, Limits())


def actor_of(session: Session, account: Account, scopes: frozenset[str] = frozenset(SCOPES)) -> Actor:
    """The account as an actor; an administrator is limited by nothing but capacity."""
    limits = Limits() if account.is_admin else level_limits(session, account.level).overridden(account.limits)
    return Actor(account.id, account.name, account.kind, account.level, account.is_admin, limits, scopes)


IDENTITY = (
    Account.id,
    Account.name,
    Account.kind,
    Account.level,
    Account.is_admin,
    Account.limits,
    Account.session_epoch,
    Account.expires_at,
    Account.disabled_at,
    Level.limits.label("of_level"),
)
"""What is read of who asks, on every request: with :data:`OWN_LEVEL` it takes one statement."""
OWN_LEVEL = Level.level == Account.level


def identified(row: Row[Any], scopes: frozenset[str] = frozenset(SCOPES)) -> Actor:
    """The same actor from the columns of :data:`IDENTITY`."""
    limits = Limits()
    if not row.is_admin:
        of_level = row.of_level
        known = DEFAULT_LIMITS.get(row.level, limits) if of_level is None else Limits.from_dict(of_level)
        limits = known.overridden(row.limits)
    return Actor(row.id, row.name, row.kind, row.level, row.is_admin, limits, scopes)
