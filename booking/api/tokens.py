"""Tokens: what programs come with; each is shown once."""

from __future__ import annotations

from typing import Any

from flask import Response

from booking.api.accounts import shown_fresh
from booking.api.noun import SIGNED_IN, Noun, nothing
from booking.api.paging import moment_and_id, page
from booking.api.schemas.accounts import NewTokenOut, TokenIn, TokenList
from booking.api.schemas.common import PageQuery
from booking.api.schemas.fields import stamp
from booking.identity import context, require_actor
from booking.models import Token
from booking.services import tokens

blp = Noun("tokens", "Bearer tokens, hashed, with an end and no more rights than they need.")


def shown(token: Token) -> dict[str, Any]:
    """A token without its secret."""
    return {
        "id": token.id,
        "account": token.account.name,
        "label": token.label,
        "scopes": token.scopes,
        "created_at": stamp(token.created_at),
        "expires_at": stamp(token.expires_at),
    }


@blp.get("/tokens")
@blp.needs(SIGNED_IN)
@blp.query(PageQuery)
@blp.response(200, TokenList)
def list_tokens(query: dict[str, Any]) -> dict[str, Any]:
    """One's own tokens that still hold, the newest first."""
    after, limit = moment_and_id(query.get("cursor")), query["limit"]
    rows = tokens.mine(context(), require_actor(), after, limit)
    return page(rows, limit, shown, lambda token: (token.created_at.isoformat(), token.id))


@blp.post("/tokens")
@blp.needs(SIGNED_IN, 404)
@blp.body(TokenIn)
@blp.response(201, NewTokenOut)
def make_token(body: dict[str, Any]) -> dict[str, Any]:
    """Make a token for oneself, or as administrator for anybody, with no right that oneself lacks."""
    ctx, actor = context(), require_actor()
    token = tokens.make(
        ctx,
        actor,
        body.get("account", actor.name),
        body["scopes"],
        body["label"],
        body.get("expires_in", tokens.TOKEN_LIFE),
    )
    return shown_fresh(token)


@blp.delete("/tokens/<token>")
@blp.needs(SIGNED_IN, 404)
@blp.response(204)
def revoke_token(token: str) -> Response:
    """End a token at once."""
    tokens.revoke(context(), require_actor(), token)
    return nothing()
