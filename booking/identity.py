"""Who asks: a bearer token, or the session of the website; the only module that knows of either.

A session holds the account's id and its epoch, and is checked against the account on every request; a
request that comes by session and changes something must prove that it comes from our pages.
"""

from __future__ import annotations

from flask import Flask, current_app, g, request, session
from flask_wtf.csrf import CSRFProtect

from booking.errors import Unauthenticated
from booking.models import Account, AccountKind
from booking.services import accounts, tokens, visitors
from booking.services.context import Actor, Context
from booking.services.shelf import Shelf

_ACCOUNT = "account"
_EPOCH = "epoch"
_SINCE = "since"
_LONGEST = 512
"""Characters of a token; ours have 43."""
API = "/api/"
"""Where programs call; what else there is, is pages."""
SHELF_BYTES = 32 * 2**20
"""What the shelf of a process may hold."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_TOKEN = "X-Auth-Token"  # noqa: S105 (the name of a header)
"""Where services of OpenStack put a token; only what changes something may come with it, for no cache knows it."""

csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    """Protect every request that changes something against forged forms."""
    app.extensions["booking.shelf"] = Shelf(SHELF_BYTES)
    app.config.setdefault("WTF_CSRF_CHECK_DEFAULT", False)
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    csrf.init_app(app)
    app.before_request(_refuse_forged)


def _refuse_forged() -> None:
    if request.method in _SAFE or request.routing_exception is not None:
        return
    if _token() is not None:
        return  # a browser sends such a header for nobody else's page
    if not request.path.startswith(API) or _ACCOUNT in session:
        csrf.protect()


def context() -> Context:
    """The context of the application that answers this request."""
    found: Context = current_app.extensions["booking"]
    return found


def shelf() -> Shelf:
    """What this process has made before for readers of the calendar."""
    found: Shelf = current_app.extensions["booking.shelf"]
    return found


def current_actor() -> Actor | None:
    """Who asks, or None; looked up once a request.

    :raises Unauthenticated: if a program sends a token that is not valid; on a page that is nobody's.
    """
    if "actor" not in g:
        g.actor = _looked_up()
    actor: Actor | None = g.actor
    return actor


def _looked_up() -> Actor | None:
    token = _token()
    if token is None:
        return _by_session()
    try:
        return _by_token(token)
    except Unauthenticated:
        if request.path.startswith(API):
            raise
        return None


def _token() -> str | None:
    """What a program says that it is; empty if it cannot be read, and None if it says nothing."""
    given = request.headers.get("Authorization")
    if given is not None:
        scheme, _, token = given.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    if request.method == "POST" and request.path.startswith(API):
        return request.headers.get(_TOKEN)
    return None


def _by_token(token: str) -> Actor:
    if not token or len(token) > _LONGEST or not token.isascii():
        raise Unauthenticated("The Authorization header must be: Bearer, a space, and a token.")
    return tokens.actor_of_bearer(context(), token)


def _by_session() -> Actor | None:
    account_id, epoch, since = session.get(_ACCOUNT), session.get(_EPOCH), session.get(_SINCE)
    if not isinstance(account_id, str) or not isinstance(epoch, int) or not isinstance(since, int):
        return None
    # The cookie is renewed while it is used; the login that it stands for is not.
    over = since + current_app.permanent_session_lifetime.total_seconds() < context().clock.now().timestamp()
    actor = None if over else accounts.by_session(context(), account_id, epoch)
    if actor is None:
        session.clear()
    return actor


def require_actor() -> Actor:
    """Who asks.

    :raises Unauthenticated: if nobody is known to ask.
    """
    actor = current_actor()
    if actor is None:
        raise Unauthenticated("This needs an account: sign in, or send a token.")
    return actor


def login(account: Account) -> None:
    """Begin a session; whatever the browser had before is forgotten."""
    session.clear()
    session.permanent = True
    session[_ACCOUNT], session[_EPOCH] = account.id, account.session_epoch
    session[_SINCE] = int(context().clock.now().timestamp())
    g.pop("actor", None)


def logout() -> None:
    """End every session of the account; an anonymous account ends with it."""
    actor = _by_session()
    session.clear()
    g.pop("actor", None)
    if actor is None:
        return
    if actor.kind is AccountKind.ANONYMOUS:
        visitors.leave(context(), actor)
    else:
        accounts.end_sessions(context(), actor)
