"""Accounts: one's own, Give it a try, signing in; and everybody's, for administrators."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, request

from booking import ratelimits
from booking.api.converters import WORDS
from booking.api.noun import PUBLIC, SIGNED_IN, Noun, nothing
from booking.api.paging import page, parts_of
from booking.api.schemas.accounts import (
    AccountChangeIn,
    AccountIn,
    AccountList,
    AccountOut,
    LoginIn,
    NewTokenOut,
    OwnAccountOut,
    PasswordIn,
    TriedOut,
)
from booking.api.schemas.common import PageQuery
from booking.api.schemas.fields import stamp
from booking.errors import Invalid
from booking.identity import context, require_actor
from booking.models import Account, AccountKind
from booking.services import accounts, listing, tokens, visitors
from booking.services.accounts import AccountChange, NewAccount
from booking.services.context import FOR_ADMINS, SCOPES
from booking.services.tokens import FreshToken

blp = Noun("accounts", "People, services and anonymous visitors, and how they come in.")
_EVERYTHING = tuple(scope for scope in SCOPES if scope not in FOR_ADMINS)


def shown(account: Account) -> dict[str, Any]:
    """An account as it is told."""
    return {
        "id": account.id,
        "name": account.name,
        "kind": account.kind.value,
        "level": account.level,
        "admin": account.is_admin,
        "limits": account.limits,
        "created_at": stamp(account.created_at),
        "expires_at": stamp(account.expires_at),
        "disabled": account.disabled_at is not None,
    }


def shown_fresh(token: FreshToken) -> dict[str, Any]:
    """A token as it is shown once."""
    row = token.row
    return {
        "id": row.id,
        "account": row.account.name,
        "label": row.label,
        "scopes": row.scopes,
        "created_at": stamp(row.created_at),
        "expires_at": stamp(row.expires_at),
        "token": token.secret,
    }


@blp.get("/accounts/me")
@blp.needs(SIGNED_IN)
@blp.response(200, OwnAccountOut)
def get_own_account() -> dict[str, Any]:
    """One's own account: the limits in force, and what is used of them in four weeks."""
    ctx, actor = context(), require_actor()
    quota = listing.usage(ctx, actor)
    return shown(listing.own_account(ctx, actor)) | {
        "limits": actor.limits.as_dict(),
        "scopes": sorted(actor.scopes),
        "quota": {
            "limit": quota.limit,
            "used": quota.used,
            "cost": quota.cost,
            "left": quota.left,
            "window": {"start": stamp(quota.window.start), "end": stamp(quota.window.end)},
        },
    }


@blp.put("/accounts/me/password")
@blp.needs(SIGNED_IN, 429)
@blp.body(PasswordIn)
@blp.response(204)
def change_own_password(body: dict[str, Any]) -> Response:
    """Another password for oneself; all sessions and tokens end, and so does the one that this came with."""
    ctx, actor = context(), require_actor()
    ratelimits.spend_login(ctx, request.remote_addr, actor.name)
    accounts.change_password(ctx, actor, body["current"], body["new"])
    return nothing()


@blp.post("/accounts/try")
@blp.needs(PUBLIC, 429)
@blp.response(201, TriedOut)
def try_it() -> dict[str, Any]:
    """Give it a try: an anonymous account of level 0 that ends by itself, with a token."""
    ctx = context()
    ratelimits.spend_try(ctx, request.remote_addr)
    account = visitors.try_it(ctx)
    token = tokens.make(ctx, None, account.name, _EVERYTHING, "give it a try")
    return {"account": shown(account), "token": token.secret, "expires_at": stamp(token.row.expires_at)}


@blp.post("/login")
@blp.needs(PUBLIC, 401, 429)
@blp.body(LoginIn)
@blp.response(200, NewTokenOut)
def sign_in(body: dict[str, Any]) -> dict[str, Any]:
    """A token for a name and a password."""
    ctx = context()
    ratelimits.spend_login(ctx, request.remote_addr, body["name"])
    account = accounts.by_password(ctx, body["name"], body["password"])
    scopes = SCOPES if account.is_admin else _EVERYTHING
    life = timedelta(days=ctx.settings.session_days)
    return shown_fresh(tokens.make(ctx, None, account.name, scopes, "login", life))


@blp.get("/accounts")
@blp.needs("accounts:read")
@blp.query(PageQuery)
@blp.response(200, AccountList)
def list_accounts(query: dict[str, Any]) -> dict[str, Any]:
    """Accounts by name (administrators)."""
    after = parts_of(query.get("cursor"), 1)
    rows = listing.accounts(context(), require_actor(), after[0] if after else None, query["limit"])
    return page(rows, query["limit"], shown, lambda account: (account.name,))


@blp.post("/accounts")
@blp.needs("admin", 409)
@blp.body(AccountIn)
@blp.response(201, AccountOut)
def make_account(body: dict[str, Any]) -> Any:
    """Make an account (administrators)."""
    if body["name"] in WORDS:
        raise Invalid({"name": ["is a word of the API"]})
    new = NewAccount(
        body["name"], body.get("password"), body["level"], body["admin"], AccountKind(body["kind"])
    )
    account = accounts.create(context(), require_actor(), new)
    return shown(account), 201, {"Location": f"/api/v1/accounts/{account.id}"}


@blp.get("/accounts/<account:account>")
@blp.needs("accounts:read", 404)
@blp.response(200, AccountOut)
def get_account(account: str) -> dict[str, Any]:
    """One account, by name or id (administrators)."""
    return shown(listing.account(context(), require_actor(), account))


@blp.patch("/accounts/<account:account>")
@blp.needs("admin", 404)
@blp.body(AccountChangeIn)
@blp.response(200, AccountOut)
def change_account(body: dict[str, Any], account: str) -> dict[str, Any]:
    """Change level, rights, password or limits; a new password ends its sessions and tokens (administrators)."""
    wanted = AccountChange(
        level=body.get("level"),
        is_admin=body.get("admin"),
        password=body.get("password"),
        limits=body.get("limits"),
        disabled=body.get("disabled"),
    )
    return shown(accounts.change(context(), require_actor(), account, wanted))
