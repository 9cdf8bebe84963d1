"""Accounts: who may come in, by password, token or Give it a try, and at which level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking.allocator.policy import Limits
from booking.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from booking.models import Account, AccountKind, Feed, Level, Token
from booking.services.context import IDENTITY, OWN_LEVEL, Actor, Context, identified

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 256
_WRONG = "The name or the password is not right."
_hasher = PasswordHasher()


@cache
def _nobodys_hash() -> str:
    """Verified where there is no account, so that both answers take the same time."""
    return _hasher.hash("nobody's password")


@cache
def _common_passwords() -> frozenset[str]:
    """The 30,000 commonest of those that became known, as zxcvbn lists them; read when one is first set."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


@dataclass(frozen=True)
class NewAccount:
    """An account to be made."""

    name: str
    password: str | None = None
    level: int = 1
    is_admin: bool = False
    kind: AccountKind = AccountKind.PERSON


def create(ctx: Context, actor: Actor | None, new: NewAccount) -> Account:
    """Make an account; `actor` None is the service's own set-up.

    :raises Conflict: if the name is taken.
    :raises Invalid: if the password is too short.
    """
    if actor is not None:
        actor.require("admin")
    password_hash = None if new.password is None else hashed(new.password)

    def write(session: Session) -> Account:
        if _by_name(session, new.name) is not None:
            raise Conflict(f"There is an account {new.name!r} already.", code="account.conflict")
        account = Account(
            id=ctx.ids.new(),
            name=new.name,
            kind=new.kind,
            level=new.level,
            is_admin=new.is_admin,
            password_hash=password_hash,
            limits={},
            session_epoch=0,
            created_at=ctx.clock.now(),
        )
        session.add(account)
        session.flush()
        ctx.journal(
            session, actor, "account.made", f"account:{account.id}", name=account.name, level=account.level
        )
        return account

    try:
        return ctx.db.run("create account", write)
    except IntegrityError:  # somebody made it at the same moment
        raise Conflict(f"There is an account {new.name!r} already.", code="account.conflict") from None


def hashed(password: str, field: str = "password") -> str:
    """What is kept of a password.

    :raises Invalid: naming the field, if it is too short or too long, or what many others have.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid({field: [f"has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"]})
    if password.lower() in _common_passwords():
        raise Invalid({field: ["is one of those that are guessed first"]})
    return _hasher.hash(password)


def _by_name(session: Session, name: str) -> Account | None:
    return session.scalar(select(Account).where(Account.name == name))


def find(session: Session, name: str) -> Account:
    """The account with that name or id.

    :raises NotFound: if there is none.
    """
    account = session.scalar(select(Account).where((Account.name == name) | (Account.id == name)))
    if account is None:
        raise NotFound("account", name)
    return account


def by_password(ctx: Context, name: str, password: str) -> Account:
    """The account that name and password open; the hash is checked outside any transaction.

    :raises Unauthenticated: if they do not; it does not tell which of the two was wrong.
    """
    nobodys = _nobodys_hash()
    account = ctx.db.read("login", lambda session: _by_name(session, name))
    known = account.password_hash if account is not None and usable(account, ctx.clock.now()) else None
    try:
        _hasher.verify(known or nobodys, password[:LONGEST_PASSWORD])
    except (VerifyMismatchError, InvalidHashError):
        raise Unauthenticated(_WRONG) from None
    if account is None or known is None or len(password) > LONGEST_PASSWORD:
        raise Unauthenticated(_WRONG)
    return account


def usable(account: Account | Row[Any], now: datetime) -> bool:
    """Whether the account is neither disabled nor expired."""
    return account.disabled_at is None and (account.expires_at is None or account.expires_at > now)


_OF_SESSION = select(*IDENTITY).outerjoin(Level, OWN_LEVEL).where(Account.id == bindparam("account"))


def by_session(ctx: Context, account_id: str, session_epoch: int) -> Actor | None:
    """The actor of a website session, or None where it has ended; one statement."""

    rows = ctx.db.ask(_OF_SESSION, {"account": account_id})
    if not rows or rows[0].session_epoch != session_epoch or not usable(rows[0], ctx.clock.now()):
        return None
    return identified(rows[0])


def end_sessions(ctx: Context, actor: Actor) -> None:
    """End every session of the account: a cookie that was copied must not outlive the logout."""

    def write(session: Session) -> None:
        session.get_one(Account, actor.id).session_epoch += 1
        ctx.journal(session, actor, "account.signed_out", f"account:{actor.id}")

    ctx.db.run("end sessions", write)


@dataclass(frozen=True)
class AccountChange:
    """What shall be different; None stays."""

    level: int | None = None
    is_admin: bool | None = None
    password: str | None = None
    limits: Mapping[str, Any] | None = None
    disabled: bool | None = None


def change(ctx: Context, actor: Actor | None, name: str, wanted: AccountChange) -> Account:
    """Change an account; a new password ends its sessions, tokens and feed, disabling its sessions.

    :raises NotFound: if there is no such account.
    :raises Invalid: if a limit or the password is not one.
    """
    if actor is not None:
        actor.require("admin")
    password_hash = None if wanted.password is None else hashed(wanted.password)

    def write(session: Session) -> Account:
        account = find(session, name)
        if wanted.level is not None:
            account.level = wanted.level
        if wanted.is_admin is not None:
            account.is_admin = wanted.is_admin
        if wanted.limits is not None:
            account.limits = checked_limits(wanted.limits)
        if password_hash is not None:
            account.password_hash = password_hash
            _end_tokens(ctx, session, account)
        if wanted.disabled is not None:
            account.disabled_at = ctx.clock.now() if wanted.disabled else None
        if password_hash is not None or wanted.disabled:
            account.session_epoch += 1
        ctx.journal(session, actor, "account.changed", f"account:{account.id}", level=account.level)
        return account

    return ctx.db.run("change account", write)


def change_password(ctx: Context, actor: Actor, current: str, new: str) -> Account:
    """Give oneself another password: every session, token and feed made with the old one ends.

    :raises Invalid: if `current` is not the password, or `new` may not be one.
    """
    try:
        known = by_password(ctx, actor.name, current)
    except Unauthenticated:
        raise Invalid({"current": ["is not your password"]}) from None
    password_hash = hashed(new, "new")

    def write(session: Session) -> Account:
        account = find(session, actor.id)
        if account.password_hash != known.password_hash:
            raise Invalid({"current": ["is not your password"]})  # somebody changed it at the same moment
        account.password_hash = password_hash
        account.session_epoch += 1
        _end_tokens(ctx, session, account)
        ctx.journal(session, actor, "account.password", f"account:{account.id}")
        return account

    return ctx.db.run("change password", write)


def _end_tokens(ctx: Context, session: Session, account: Account) -> None:
    """Who knew the old password may have made tokens and a feed with it."""
    session.execute(delete(Feed).where(Feed.account_id == account.id))
    valid = update(Token).where(Token.account_id == account.id, Token.revoked_at.is_(None))
    session.execute(valid.values(revoked_at=ctx.clock.now()))


def checked_limits(limits: Mapping[str, Any]) -> dict[str, Any]:
    """:raises Invalid: naming the limit that is unknown or has a wrong value."""
    try:
        Limits().overridden(limits)
    except ValueError as error:
        key, _, fault = str(error).partition(": ")
        raise Invalid({f"limits.{key}": [fault]}) from None
    return dict(limits)


def listed(ctx: Context, actor: Actor, after: str | None, limit: int) -> Sequence[Account]:
    """Accounts by name, after a name.

    :raises Forbidden: if the actor may not read accounts.
    """
    if not actor.acts_as_admin:
        raise Forbidden("This needs an administrator.")

    def read(session: Session) -> Sequence[Account]:
        query = select(Account).order_by(Account.name).limit(limit)
        return session.scalars(query if after is None else query.where(Account.name > after)).all()

    return ctx.db.read("accounts", read)
