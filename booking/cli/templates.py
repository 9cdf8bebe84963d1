"""`booking template`: the cards of the landing page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from booking.allocator.durations import format_duration, parse_duration
from booking.allocator.package import Sharing
from booking.cli import context
from booking.cli.output import json_option, print_fields, print_json, print_table
from booking.errors import Invalid
from booking.models import Template
from booking.services import templates
from booking.services.templates import Card


@click.group("template")
def template_command() -> None:
    """Cards on the landing page, each of which books a package and opens a notebook in one act."""


def as_dict(row: Template) -> dict[str, Any]:
    """A card as the API shows it."""
    return {
        "id": row.id,
        "title": row.title,
        "text": row.text,
        "notebook_url": row.notebook_url,
        "package": row.package_name,
        "length": format_duration(row.length),
        "pool": row.pool_id,
        "sharing": row.sharing.value,
        "position": row.position,
        "shown": row.shown,
    }


@template_command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """Every card in its order, with those that are not shown."""
    found = templates.listed(context.open_context(), context.OPERATOR, hidden=True)
    rows = [as_dict(offered.template) for offered in found]
    if as_json:
        print_json({"items": rows})
        return
    names = ("id", "title", "package", "length", "sharing", "position", "shown")
    print_table(names, [[row[name] for name in names] for row in rows])


@template_command.command("create")
@click.argument("title")
@click.option("--package", required=True)
@click.option("--length", required=True, help="How long it books, as PT2H or P1D.")
@click.option("--text", default="", help="One or two sentences.")
@click.option("--notebook-url", help="The notebook or repository to open.")
@click.option("--pool", help="The first pool if not given.")
@click.option(
    "--sharing", type=click.Choice([s.value for s in Sharing]), default="reserved", show_default=True
)
@click.option("--position", type=click.IntRange(0), default=0, show_default=True)
@click.option("--hidden", is_flag=True, help="Not on the landing page yet.")
@json_option
def create(title: str, *, as_json: bool, **values: Any) -> None:
    """Put up a card."""
    card = Card(
        title,
        values["package"],
        _length(values["length"]),
        values["text"],
        values["notebook_url"],
        Sharing(values["sharing"]),
        values["pool"],
        values["position"],
        not values["hidden"],
    )
    answer = as_dict(templates.make(context.open_context(), context.OPERATOR, card))
    print_json(answer) if as_json else print_fields(answer)


def _length(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Invalid({"length": [str(error)]}) from None


@template_command.command("remove")
@click.argument("template", metavar="ID")
def remove(template: str) -> None:
    """Take a card down; what is booked from it stays."""
    templates.remove(context.open_context(), context.OPERATOR, template)
    click.echo("removed")
