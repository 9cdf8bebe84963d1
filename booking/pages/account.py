"""One's own account: what the level allows, the groups, the feed for a calendar, and the tokens for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, request

from booking import identity, ratelimits
from booking.api.feeds import address_of
from booking.api.noun import SIGNED_IN, needs
from booking.api.schemas.accounts import GroupIn, PasswordIn, TokenIn
from booking.errors import BookingError, Conflict, Forbidden, Invalid, NotFound
from booking.models import AccountKind, Role
from booking.pages.admin.accounts import LABELS, told
from booking.pages.admin.forms import loaded
from booking.pages.calendar.query import one_of
from booking.pages.frame import context, go, page, pages, somebody
from booking.pages.language import choices, gettext, marked
from booking.pages.parts import part_of
from booking.pages.words import word
from booking.services import accounts, feeds, groups, listing, tokens
from booking.services.context import FOR_ADMINS, SCOPES

_MOST_GROUPS = 100
_MOST_TOKENS = 200
"""The newest; programs page through all of theirs."""
_USUAL = timedelta(days=90)
SCOPE_LABELS = {
    "availability:read": marked("see what is free"),
    "bookings:read": marked("read my bookings"),
    "bookings:write": marked("book, change and cancel"),
    "accounts:read": marked("read accounts"),
    "strangers:write": marked("answer what a cloud asks"),
    "admin": marked("administer the site"),
}


def overview(status: int = 200, /, **more: Any) -> Response:
    """The page of one's own account."""
    actor, ctx = somebody(), context()
    found = groups.groups(ctx, actor, None, _MOST_GROUPS)
    values = {
        "actor": actor,
        "account": listing.own_account(ctx, actor),
        "usage": listing.usage(ctx, actor),
        "limits": [
            (gettext(LABELS[name][0]), gettext(LABELS[name][1]), limit.said)
            for name, limit in told(actor.limits).items()
        ],
        "groups": [group for group in found if group.role is not None],
        "roles": {role: word(role) for role in Role},
        "tokens": part_of(tokens.mine(ctx, actor, None, _MOST_TOKENS)[:_MOST_TOKENS], "tokens", "/account"),
        "scopes": choices(
            {name: SCOPE_LABELS[name] for name in SCOPES if actor.is_admin or name not in _ADMINS}
        ),
        "may_group": actor.level >= groups.LEAST_LEVEL or actor.is_admin,
        "is_trial": actor.kind is AccountKind.ANONYMOUS,
        "errors": {},
        "fresh": None,
        "feed": feeds.mine(ctx, actor),
        "address": None,
        "section": "",
    }
    return page("account/page.html", status, **(values | more))


_ADMINS = FOR_ADMINS | {"accounts:read"}


@pages.get("/account")
@needs("bookings:read")
def own_account() -> Response:
    """What the level allows, what is used of it, groups, the feed and tokens."""
    return overview()


@pages.post("/account/password")
@needs("bookings:read")  # what is wrong is told on the page of the account, which shows groups
def change_password() -> Response:
    """Another password; this session goes on, and all others end."""
    actor, ctx = somebody(), context()
    body = {name: request.form.get(name, "") for name in ("current", "new")}
    try:
        values = loaded(PasswordIn, body)
        ratelimits.spend_login(ctx, request.remote_addr, actor.name)
        account = accounts.change_password(ctx, actor, values["current"], values["new"])
    except Invalid as error:
        return overview(422, errors=error.errors, section="password")
    identity.login(account)
    return go(
        "/account", gettext("Your password is changed. Other sessions, tokens and the feed have ended.")
    )


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
    return go("/account#tokens", gettext("The token is no longer valid."))


@pages.post("/account/feed")
@needs("bookings:read")
def change_feed() -> Response:
    """Make the feed, which is shown once, or give it another address, or remove it."""
    actor, ctx = somebody(), context()
    if request.form.get("remove"):
        feeds.remove(ctx, actor)
        return go("/account#feed", gettext("Nothing is at the address any more."))
    made = feeds.make(ctx, actor)
    return overview(201, address=address_of(made))


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
    return go("/account#groups", gettext("The group %(name)s is there.", name=group.name))


@pages.post("/account/groups/<group>/members")
@needs("bookings:write")
def change_members(group: str) -> Response:
    """Take somebody in, change what they are, or let them go."""
    actor, ctx, form = somebody(), context(), request.form
    try:
        if form.get("remove"):
            groups.remove_member(ctx, actor, group, form["remove"])
            return go("/account#groups", gettext("%(name)s is no longer in the group.", name=form["remove"]))
        name = form.get("account", "").strip()
        role = one_of(Role, "role", form.get("role")) or Role.READER
        groups.put_member(ctx, actor, group, name, role)
    except BookingError as error:
        return _not_changed(group, error)
    return go("/account#groups", gettext("%(name)s is %(role)s of the group.", name=name, role=word(role)))


def _not_changed(group: str, error: BookingError) -> Response:
    """Say it beside the group, unless the group itself is not there."""
    if isinstance(error, NotFound) and error.code == "account.not_found":
        return overview(422, errors={group: [gettext("nobody here has that name")]}, section="groups")
    if isinstance(error, Conflict | Forbidden | Invalid):
        return overview(
            403 if isinstance(error, Forbidden) else 409, errors={group: [error.detail]}, section="groups"
        )
    raise error
