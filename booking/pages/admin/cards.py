"""Templates: the cards of the landing page, put up, changed and taken down."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from booking.allocator.package import CUSTOM
from booking.api.noun import needs
from booking.api.schemas.templates import TemplateIn
from booking.api.templates import fields_of
from booking.errors import Invalid
from booking.pages.admin.forms import Form, Options, given, loaded, number, options_of
from booking.pages.calendar.scene import OFFERED
from booking.pages.frame import administrator, context, go, page, pages
from booking.pages.language import gettext
from booking.pages.words import Wall, word
from booking.services import marks, packages, templates
from booking.services.context import Context
from booking.services.templates import Card

_MANY = 25
"""Of more pools than these one is named, with their list to help, which stands on the page once."""


def overview(status: int = 200, /, **more: Any) -> Response:
    """The page of templates; `row` says whose form it is that has faults."""
    actor, ctx = administrator(), context()
    values = {
        "actor": actor,
        "cards": [(offered, Wall(offered.zone)) for offered in templates.listed(ctx, actor, hidden=True)],
        "packages": Options((name, name) for name in _packages(ctx)),
        "pools": options_of(tuple((pool.name, pool.name) for pool in marks.called(ctx))),
        "many": _MANY,
        "sharings": Options((sharing.value, word(sharing)) for sharing in OFFERED),
        "errors": {},
        "form": {},
        "row": None,
    }
    return page("admin/templates.html", status, **(values | more))


def _packages(ctx: Context) -> list[str]:
    return [one.name for one in ctx.db.read("packages", packages.current) if one.name != CUSTOM]


def _fields(form: Form) -> dict[str, Any]:
    """Every field of a card as the form has it.

    :raises Invalid: naming each field that is wrong.
    """
    body = given(
        title=form.get("title", "").strip(),
        text=" ".join(form.get("text", "").split()),
        package=form.get("package", ""),
        length=form.get("length", "").strip(),
        sharing=form.get("sharing") or None,
        position=number(form, "position"),
        shown=bool(form.get("shown")),
    )
    # What was emptied is none.
    body |= {name: form.get(name, "").strip() or None for name in ("notebook_url", "pool")}
    return fields_of(loaded(TemplateIn, body))


@pages.get("/admin/templates")
@needs("admin")
def admin_templates() -> Response:
    """Every card, with those that are not shown."""
    return overview()


@pages.post("/admin/templates")
@needs("admin")
def make_template() -> Response:
    """Put up a card."""
    actor = administrator()
    try:
        row = templates.make(context(), actor, Card(**_fields(request.form)))
    except Invalid as error:
        return overview(422, errors=error.errors, form=request.form)
    there = gettext("%(title)s is on the landing page.", title=row.title)
    back = gettext("%(title)s is kept back.", title=row.title)
    return go("/admin/templates", there if row.shown else back)


@pages.post("/admin/templates/<template>")
@needs("admin")
def change_template(template: str) -> Response:
    """Change a card."""
    actor = administrator()
    try:
        row = templates.change(context(), actor, template, _fields(request.form))
    except Invalid as error:
        return overview(422, errors=error.errors, form=request.form, row=template)
    return go(
        "/admin/templates", gettext("%(title)s is changed. What is booked from it stays.", title=row.title)
    )


@pages.post("/admin/templates/<template>/remove")
@needs("admin")
def remove_template(template: str) -> Response:
    """Take a card down."""
    templates.remove(context(), administrator(), template)
    return go("/admin/templates", gettext("The card is gone. What is booked from it stays."))
