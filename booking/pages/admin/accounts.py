"""Accounts and levels: who is here, and what each may do."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Response, request

from booking.allocator.limits import LIMIT_NAMES, Limits
from booking.api.noun import needs
from booking.api.paging import cursor_of, parts_of
from booking.api.schemas.accounts import MOST_LEVEL, AccountIn
from booking.errors import Conflict, Invalid
from booking.models import AccountKind
from booking.pages.admin.forms import Form, given, loaded, number
from booking.pages.frame import administrator, context, go, page, pages
from booking.pages.language import gettext, marked
from booking.pages.parts import A_PAGE, part_of
from booking.pages.words import spelt
from booking.services import accounts, levels, listing
from booking.services.accounts import AccountChange, NewAccount

_NAMES = ("packages", "sharing")
_LENGTHS = ("max_length", "max_ahead")
LABELS = {
    "packages": (marked("Packages"), marked("names with commas; empty means all")),
    "sharing": (marked("Sharing"), marked("shared, reserved; empty means all")),
    "max_length": (marked("Longest span"), marked("such as P14D or PT4H")),
    "max_ahead": (marked("How far ahead"), marked("such as P90D; PT0S means now only")),
    "max_concurrent": (marked("At the same time"), marked("reservations")),
    "core_hours": (marked("Core-hours"), marked("in any four weeks")),
    "notebooks": (marked("Notebooks"), marked("kept")),
    "notebook_mib": (marked("Size of a notebook"), marked("MiB")),
    "saved_gib": (marked("Saved data"), marked("GiB")),
    "temporary_gib": (marked("Temporary data"), marked("GiB")),
    "saved_days": (marked("Saved data expire"), marked("days")),
    "temporary_days": (marked("Temporary data expire"), marked("days")),
}


def overview(status: int = 200, /, level: int | None = None, **more: Any) -> Response:
    """The page of accounts and levels; that level is among those that are shown."""
    actor, ctx = administrator(), context()
    after = parts_of(request.args.get("cursor"), 1)
    rows = listing.accounts(ctx, actor, after[0] if after else None, A_PAGE)
    shown = rows[:A_PAGE]
    known = levels.known(ctx)
    wanted = number(request.args, "level") if level is None else level
    place = list(known).index(wanted) if wanted in known else 0
    cursor = request.args.get("cursor")
    kept = {"cursor": cursor} if cursor else {}
    part = part_of(list(known.items()), "levels", "/admin/accounts", kept, at=place)
    values = {
        "actor": actor,
        "rows": shown,
        "cursor": cursor_of(shown[-1].name) if len(rows) > A_PAGE else None,
        "is_first": after is None,
        "levels": part.told(lambda row: (row[0], told(row[1]))),
        "next_level": max(known) + 1 if known else 0,
        "labels": {name: (gettext(text), gettext(hint)) for name, (text, hint) in LABELS.items()},
        "errors": {},
        "form": {},
        "now": ctx.clock.now(),
        "fresh": None,
    }
    return page("admin/accounts.html", status, **(values | more))


class Limit(NamedTuple):
    """One limit as the form holds it, and as people read it."""

    held: str
    said: str


def told(limits: Limits) -> dict[str, Limit]:
    """Every limit by its name."""
    none = Limit("", gettext("no limit"))
    return {name: _told(name, value, limits, none) for name, value in limits.as_dict().items()}


def _told(name: str, value: object, limits: Limits, none: Limit) -> Limit:
    if value is None:
        return none
    held = ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
    return Limit(held, spelt(getattr(limits, name)) if name in _LENGTHS else held)


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
        return go("/admin/accounts", gettext("%(name)s is there.", name=account.name))
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
            raise Conflict(gettext("You cannot disable yourself."))
        row = accounts.change(ctx, actor, account, AccountChange(disabled=act == "disable"))
        off, on = (
            gettext("%(name)s is disabled.", name=row.name),
            gettext("%(name)s is in use again.", name=row.name),
        )
        return go("/admin/accounts", off if act == "disable" else on)
    level = number(form, "level")
    if not isinstance(level, int) or not 0 <= level <= MOST_LEVEL:
        raise Invalid(
            {"level": [gettext("is a whole number from %(least)s to %(most)s", least=0, most=MOST_LEVEL)]}
        )
    is_admin = bool(form.get("admin"))
    if account == actor.id and not is_admin:
        raise Conflict(gettext("You cannot take administration from yourself."))
    row = accounts.change(ctx, actor, account, AccountChange(level=level, is_admin=is_admin))
    plain = gettext("%(name)s is at level %(level)s.", name=row.name, level=row.level)
    full = gettext("%(name)s is at level %(level)s, administrator.", name=row.name, level=row.level)
    return go("/admin/accounts", full if row.is_admin else plain)


@pages.post("/admin/levels")
@needs("admin")
def make_level() -> Response:
    """Give a level limits of its own; it begins with none."""
    level = number(request.form, "level")
    if not isinstance(level, int) or not 0 <= level <= MOST_LEVEL:
        raise Invalid(
            {"level": [gettext("is a whole number from %(least)s to %(most)s", least=0, most=MOST_LEVEL)]}
        )
    levels.change(context(), administrator(), level, {})
    return go(_at(level), gettext("Level %(level)s has limits of its own now.", level=level))


@pages.post("/admin/levels/<int(max=1000):level>")
@needs("admin")
def change_level(level: int) -> Response:
    """Set every limit of a level; an empty field is no limit."""
    try:
        levels.change(context(), administrator(), level, _limits(request.form))
    except Invalid as error:
        errors = {f"{level}.{name}": faults for name, faults in error.errors.items()}
        return overview(422, level=level, errors=errors)
    return go(_at(level), gettext("Level %(level)s is saved.", level=level))


def _at(level: int) -> str:
    """The address of the page on which that level is shown."""
    return f"/admin/accounts?level={level}#levels"


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
