"""One's own account: what the level allows, the groups, and the tokens for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, request

from booking.allocator.limits import LIMIT_NAMES
from booking.api.noun import SIGNED_IN, needs
from booking.api.schemas.accounts import GroupIn, TokenIn
from booking.errors import BookingError, Conflict, Forbidden, Invalid, NotFound
from booking.models import AccountKind, Role
from booking.pages.admin.accounts import LABELS, said
from booking.pages.admin.forms import loaded
from booking.pages.calendar.query import one_of
from booking.pages.frame import context, go, page, pages, somebody
from booking.services import groups, listing, tokens
from booking.services.context import SCOPES

_MOST_GROUPS = 100
_MOST_TOKENS = 200
"""The newest; programs page through all of theirs."""
_USUAL = timedelta(days=90)
SCOPE_LABELS = {
    "availability:read": "see what is free",
    "bookings:read": "read my bookings",
    "bookings:write": "book, change and cancel",
    "accounts:read": "read accounts",
    "admin": "administer the site",
}


def overview(status: int = 200, /, **more: Any) -> Response:
    """The page of one's own account."""
    actor, ctx = somebody(), context()
    found = groups.groups(ctx, actor, None, _MOST_GROUPS)
    values = {
        "actor": actor,
        "account": listing.own_account(ctx, actor),
        "usage": listing.usage(ctx, actor),
        "limits": [(LABELS[name][0], LABELS[name][1], said(actor.limits, name)) for name in LIMIT_NAMES],
        "groups": [group for group in found if group.role is not None],
        "roles": list(Role),
        "tokens": tokens.mine(ctx, actor, None, _MOST_TOKENS)[:_MOST_TOKENS],
        "scopes": {name: SCOPE_LABELS[name] for name in SCOPES if actor.is_admin or name not in _ADMINS},
        "may_group": actor.level >= groups.LEAST_LEVEL or actor.is_admin,
        "is_trial": actor.kind is AccountKind.ANONYMOUS,
        "errors": {},
        "fresh": None,
        "section": "",
    }
    return page("account/page.html", status, **(values | more))


_ADMINS = ("accounts:read", "admin")


@pages.get("/account")
@needs("bookings:read")
def own_account() -> Response:
    """What the level allows, what is used of it, groups and tokens."""
    return overview()


@pages.post("/account/tokens")
@needs("bookings:read")
def make_token() -> Response:
    """Make a token for a program; it is shown once."""
    actor, ctx = somebody(), context()
    body = {"label": request.form.get("label", "").strip(), "scopes": request.form.getlist("scope")}
    try:
        values = loaded(TokenIn, body)
        made = tokens.make(ctx, actor, actor.id, values["scopes"], values["label"], _USUAL)
    except Invalid as error:
        return overview(422, errors=error.errors, section="tokens")
    return overview(201, fresh=made)


@pages.post("/account/tokens/<token>/revoke")
@needs(SIGNED_IN)
def revoke_token(token: str) -> Response:
    """End a token at once."""
    tokens.revoke(context(), somebody(), token)
    return go("/account#tokens", "The token is no longer valid.")


@pages.post("/account/groups")
@needs("bookings:write")
def make_group() -> Response:
    """Make a group; who makes it is its first administrator."""
    actor = somebody()
    try:
        values = loaded(GroupIn, {"name": request.form.get("name", "").strip()})
        group = groups.create(context(), actor, values["name"])
    except Invalid as error:
        return overview(422, errors=error.errors, section="groups")
    except Conflict as error:
        return overview(409, errors={"name": [error.detail]}, section="groups")
    return go("/account#groups", f"The group {group.name} is there.")


@pages.post("/account/groups/<group>/members")
@needs("bookings:write")
def change_members(group: str) -> Response:
    """Take somebody in, change what they are, or let them go."""
    actor, ctx, form = somebody(), context(), request.form
    try:
        if form.get("remove"):
            groups.remove_member(ctx, actor, group, form["remove"])
            return go("/account#groups", f"{form['remove']} is no longer in the group.")
        name = form.get("account", "").strip()
        role = one_of(Role, "role", form.get("role")) or Role.READER
        groups.put_member(ctx, actor, group, name, role)
    except BookingError as error:
        return _not_changed(group, error)
    return go("/account#groups", f"{name} is {role} of the group.")


def _not_changed(group: str, error: BookingError) -> Response:
    """Say it beside the group, unless the group itself is not there."""
    if isinstance(error, NotFound) and error.code == "account.not_found":
        return overview(422, errors={group: ["nobody here has that name"]}, section="groups")
    if isinstance(error, Conflict | Forbidden | Invalid):
        return overview(
            403 if isinstance(error, Forbidden) else 409, errors={group: [error.detail]}, section="groups"
        )
    raise error
