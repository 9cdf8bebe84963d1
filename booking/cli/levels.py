"""`booking level`: what each level may do."""

from __future__ import annotations

from typing import Any

import click

from booking.allocator.policy import Limits
from booking.cli import context
from booking.cli.output import json_option, print_fields, print_json
from booking.errors import Invalid
from booking.services import levels

LISTS = ("packages", "sharing")
LENGTHS = ("max_length", "max_ahead")
LIFTED = "none"


@click.group("level")
def level_command() -> None:
    """What each level may do; a level that is not listed has no limit."""


@level_command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """The limits of every level that has some."""
    found = levels.known(context.open_context())
    if as_json:
        print_json(
            {"items": [{"level": level, "limits": limits.as_dict()} for level, limits in found.items()]}
        )
        return
    for level, limits in found.items():
        click.echo(f"level {level}")
        print_fields({f"  {name}": value for name, value in told(limits).items()})


@level_command.command("set")
@click.argument("level", type=click.IntRange(0))
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE...")
@json_option
def set_(level: int, changes: tuple[str, ...], *, as_json: bool) -> None:
    """Change limits of a level: packages=tiny,small max_length=P14D core_hours=none.

    `none` lifts a limit. Bookings that were made stay.
    """
    ctx = context.open_context()
    limits = levels.change(ctx, context.OPERATOR, level, read_changes(changes))
    if as_json:
        print_json({"level": level, "limits": limits.as_dict()})
    else:
        print_fields(told(limits))


def read_changes(changes: tuple[str, ...]) -> dict[str, Any]:
    """Limits as the service knows them, from `key=value` words.

    :raises Invalid: naming the word that is not one.
    """
    values: dict[str, Any] = {}
    for word in changes:
        key, equals, text = word.partition("=")
        if not equals:
            raise Invalid({word: ["is written KEY=VALUE"]})
        values[key] = _value(key, text)
    return values


def _value(key: str, text: str) -> Any:
    if text == LIFTED:
        return None
    if key in LISTS:
        return [name for name in text.split(",") if name]
    if key in LENGTHS:
        return text
    return int(text) if text.lstrip("-").isdecimal() else text


def told(limits: Limits) -> dict[str, str]:
    """Every limit in words that `level set` reads again."""
    return {name: _told(value) for name, value in limits.as_dict().items()}


def _told(value: object) -> str:
    if value is None:
        return LIFTED
    return ",".join(str(name) for name in value) if isinstance(value, list) else str(value)
