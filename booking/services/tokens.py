"""Bearer tokens: hashed, scoped, expiring; nobody grants what they lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.orm import Session

from booking.errors import Forbidden, Invalid, NotFound, Unauthenticated
from booking.models import Account, Level, Token
from booking.services.accounts import find, usable
from booking.services.context import FOR_ADMINS, IDENTITY, OWN_LEVEL, SCOPES, Actor, Context, identified

TOKEN_LIFE = timedelta(days=365)


def token_hash(secret: str) -> str:
    """Tokens are 256 random bits, so one round of SHA-256 keeps them."""
    return sha256(secret.encode()).hexdigest()


_OF_TOKEN = (
    select(*IDENTITY, Token.scopes, Token.expires_at.label("token_expires_at"), Token.revoked_at)
    .join(Token, Token.account_id == Account.id)
    .outerjoin(Level, OWN_LEVEL)
    .where(Token.hash == bindparam("hash"))
)


def actor_of_bearer(ctx: Context, secret: str) -> Actor:
    """The actor a bearer token stands for, with no more than its scopes; one statement.

    :raises Unauthenticated: if the token is unknown, revoked or expired, or its account is.
    """

    now, rows = ctx.clock.now(), ctx.db.ask(_OF_TOKEN, {"hash": token_hash(secret)})
    if not rows or rows[0].revoked_at is not None or rows[0].token_expires_at <= now:
        raise Unauthenticated("The token is not valid.")
    if not usable(rows[0], now):
        raise Unauthenticated("The account of this token is no longer in use.")
    return replace(identified(rows[0], frozenset(rows[0].scopes)), until=rows[0].token_expires_at)


@dataclass(frozen=True)
class FreshToken:
    """A token as it is shown once."""

    row: Token
    secret: str


def make(
    ctx: Context,
    actor: Actor | None,
    account_name: str,
    scopes: Sequence[str],
    label: str = "",
    life: timedelta = TOKEN_LIFE,
) -> FreshToken:
    """Make a token for an account: one's own, or anybody's as administrator (`actor` None: the service).

    :raises Invalid: if a scope is unknown.
    :raises Forbidden: if the token would carry a right the actor or the account lacks.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise Invalid(
            {"scopes": [f"unknown: {', '.join(unknown)}" if unknown else "names at least one scope"]}
        )

    def write(session: Session) -> FreshToken:
        account = find(session, account_name)
        _check_grant(actor, account, scopes)
        secret = ctx.ids.secret()
        now = ctx.clock.now()
        token = Token(
            id=ctx.ids.new(),
            account_id=account.id,
            hash=token_hash(secret),
            label=label,
            scopes=list(dict.fromkeys(scopes)),
            created_at=now,
            expires_at=min(filter(None, (now + life, account.expires_at, actor.until if actor else None))),
        )
        session.add(token)
        session.flush()
        session.refresh(token)
        ctx.journal(
            session, actor, "token.made", f"account:{account.id}", token=token.id, scopes=token.scopes
        )
        return FreshToken(token, secret)

    return ctx.db.run("make token", write)


def _check_grant(actor: Actor | None, account: Account, scopes: Sequence[str]) -> None:
    """Nobody grants what they lack."""
    if not account.is_admin and (beyond := FOR_ADMINS & set(scopes)):
        raise Forbidden(f"Only an administrator's token can carry the scope {min(beyond)}.")
    if actor is None or actor.acts_as_admin:
        return
    if actor.id != account.id:
        raise NotFound("account", account.name)
    if lacking := [scope for scope in scopes if not actor.may(scope)]:
        raise Forbidden(f"You cannot grant {', '.join(lacking)}.")


def mine(
    ctx: Context, actor: Actor, after: tuple[datetime, str] | None = None, limit: int | None = None
) -> Sequence[Token]:
    """The actor's own tokens that still hold, newest first; one more than the limit where there are more."""
    query = (
        select(Token)
        .where(Token.account_id == actor.id, Token.revoked_at.is_(None), Token.expires_at > ctx.clock.now())
        .order_by(Token.created_at.desc(), Token.id.desc())
        .limit(None if limit is None else limit + 1)
    )
    if after is not None:
        at, after_id = after
        earlier = and_(Token.created_at == at, Token.id < after_id)
        query = query.where(or_(Token.created_at < at, earlier))
    return ctx.db.read("tokens", lambda session: session.scalars(query).all())


def revoke(ctx: Context, actor: Actor, token_id: str) -> None:
    """End a token at once.

    :raises NotFound: if it is not the actor's, unless an administrator asks.
    """

    def write(session: Session) -> None:
        token = session.get(Token, token_id)
        if token is None or (token.account_id != actor.id and not actor.acts_as_admin):
            raise NotFound("token", token_id)
        token.revoked_at = token.revoked_at or ctx.clock.now()
        ctx.journal(session, actor, "token.revoked", f"account:{token.account_id}", token=token.id)

    ctx.db.run("revoke token", write)
