"""Accounts and levels: who is here, and what each may do."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from booking.allocator.durations import say_duration
from booking.allocator.limits import LIMIT_NAMES, Limits
from booking.api.noun import needs
from booking.api.paging import cursor_of, parts_of
from booking.api.schemas.accounts import MOST_LEVEL, AccountIn
from booking.errors import Conflict, Invalid
from booking.models import AccountKind
from booking.pages.admin.forms import Form, given, loaded, number
from booking.pages.frame import administrator, context, go, page, pages
from booking.services import accounts, levels, listing
from booking.services.accounts import AccountChange, NewAccount

_A_PAGE = 50
_NAMES = ("packages", "sharing")
_LENGTHS = ("max_length", "max_ahead")
LABELS = {
    "packages": ("Packages", "names with commas; empty means all"),
    "sharing": ("Sharing", "shared, reserved; empty means all"),
    "max_length": ("Longest span", "such as P14D or PT4H"),
    "max_ahead": ("How far ahead", "such as P90D; PT0S means now only"),
    "max_concurrent": ("At the same time", "reservations"),
    "core_hours": ("Core-hours", "in any four weeks"),
    "notebooks": ("Notebooks", "kept"),
    "notebook_mib": ("Size of a notebook", "MiB"),
    "saved_gib": ("Saved data", "GiB"),
    "temporary_gib": ("Temporary data", "GiB"),
    "saved_days": ("Saved data expire", "days"),
    "temporary_days": ("Temporary data expire", "days"),
}


def overview(status: int = 200, /, **more: Any) -> Response:
    """The page of accounts and levels."""
    actor, ctx = administrator(), context()
    after = parts_of(request.args.get("cursor"), 1)
    rows = listing.accounts(ctx, actor, after[0] if after else None, _A_PAGE)
    shown = rows[:_A_PAGE]
    values = {
        "actor": actor,
        "rows": shown,
        "cursor": cursor_of(shown[-1].name) if len(rows) > _A_PAGE else None,
        "is_first": after is None,
        "levels": levels.known(ctx),
        "labels": LABELS,
        "written": written,
        "said": said,
        "errors": {},
        "form": {},
        "now": ctx.clock.now(),
        "fresh": None,
    }
    return page("admin/accounts.html", status, **(values | more))


def written(limits: Limits, name: str) -> str:
    """A limit as the form holds it."""
    value = limits.as_dict()[name]
    if isinstance(value, list):
        return ", ".join(str(entry) for entry in value) or "-"
    return "" if value is None else str(value)


def said(limits: Limits, name: str) -> str:
    """A limit as people read it."""
    value = getattr(limits, name)
    if value is None:
        return "no limit"
    return say_duration(value) if name in _LENGTHS else written(limits, name)


@pages.get("/admin/accounts")
@needs("admin")
def admin_accounts() -> Response:
    """Everybody, by name."""
    return overview()


@pages.get("/admin/levels")
@needs("admin")
def admin_levels() -> Response:
    """Levels stand on the page of accounts."""
    return go("/admin/accounts#levels")


@pages.post("/admin/accounts")
@needs("admin")
def make_account() -> Response:
    """Make an account with a password that is shown once."""
    actor, ctx, form = administrator(), context(), request.form
    body = given(
        name=form.get("name", "").strip(),
        password=form.get("password") or None,
        level=number(form, "level"),
        admin=bool(form.get("admin")),
        kind=form.get("kind") or AccountKind.PERSON.value,
    )
    try:
        found = loaded(AccountIn, body)
        password = found.get("password") or ctx.ids.secret()[:16]
        kind = AccountKind(found["kind"])
        wanted = NewAccount(
            found["name"],
            password if kind is AccountKind.PERSON else None,
            found["level"],
            found["admin"],
            kind,
        )
        account = accounts.create(ctx, actor, wanted)
    except Invalid as error:
        return overview(422, errors=error.errors, form=form)
    except Conflict as error:
        return overview(409, errors={"name": [error.detail]}, form=form)
    if found.get("password") or kind is not AccountKind.PERSON:
        return go("/admin/accounts", f"{account.name} is there.")
    return overview(201, fresh=(account.name, password))


@pages.post("/admin/accounts/<account>")
@needs("admin")
def change_account(account: str) -> Response:
    """Change level or rights, disable, or make a new password."""
    actor, ctx, form = administrator(), context(), request.form
    act = form.get("act", "")
    if act == "password":
        password = ctx.ids.secret()[:16]
        row = accounts.change(ctx, actor, account, AccountChange(password=password))
        return overview(fresh=(row.name, password))
    if act in ("disable", "enable"):
        if act == "disable" and account == actor.id:
            raise Conflict("You cannot disable yourself.")
        row = accounts.change(ctx, actor, account, AccountChange(disabled=act == "disable"))
        return go("/admin/accounts", f"{row.name} is {'disabled' if act == 'disable' else 'in use again'}.")
    level = number(form, "level")
    if not isinstance(level, int) or not 0 <= level <= MOST_LEVEL:
        raise Invalid({"level": [f"is a whole number from 0 to {MOST_LEVEL}"]})
    is_admin = bool(form.get("admin"))
    if account == actor.id and not is_admin:
        raise Conflict("You cannot take administration from yourself.")
    row = accounts.change(ctx, actor, account, AccountChange(level=level, is_admin=is_admin))
    return go(
        "/admin/accounts", f"{row.name} is at level {row.level}{', administrator' if row.is_admin else ''}."
    )


@pages.post("/admin/levels")
@needs("admin")
def make_level() -> Response:
    """Give a level limits of its own; it begins with none."""
    level = number(request.form, "level")
    if not isinstance(level, int) or not 0 <= level <= MOST_LEVEL:
        raise Invalid({"level": [f"is a whole number from 0 to {MOST_LEVEL}"]})
    levels.change(context(), administrator(), level, {})
    return go("/admin/accounts#levels", f"Level {level} has limits of its own now.")


@pages.post("/admin/levels/<int(max=1000):level>")
@needs("admin")
def change_level(level: int) -> Response:
    """Set every limit of a level; an empty field is no limit."""
    try:
        levels.change(context(), administrator(), level, _limits(request.form))
    except Invalid as error:
        return overview(422, errors={f"{level}.{name}": faults for name, faults in error.errors.items()})
    return go("/admin/accounts#levels", f"Level {level} is saved.")


def _limits(form: Form) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in LIMIT_NAMES:
        text = form.get(name, "").strip()
        if name in _NAMES:
            names = [part.strip() for part in text.split(",") if part.strip() not in ("", "-")]
            found[name] = names if text else None
        elif name in _LENGTHS:
            found[name] = text.upper() or None
        else:
            found[name] = number(form, name)
    return found
