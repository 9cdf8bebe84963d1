"""`booking platform`: the clouds and machines where pools live."""

from __future__ import annotations

import json
from typing import Any

import click

from booking.adapters.base import SettingsFault
from booking.cli import context
from booking.cli.output import json_option, print_fields, print_json, print_table
from booking.cli.times import written
from booking.errors import Invalid
from booking.models import Platform
from booking.provisioning import ports_of
from booking.services import platforms, setup
from booking.services.context import Context
from booking.services.platforms import Examine, NewPlatform, PlatformChange, Setup


@click.group("platform")
def platform_command() -> None:
    """The clouds and machines where pools live, and how they are spoken to."""


def as_dict(row: Platform) -> dict[str, Any]:
    """A platform as the API shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "traits": list(row.traits),
        "provisioner": row.provisioner,
        "settings": row.settings or {},
        "pledges": bool(row.pledges),
        "lead_minutes": row.lead_minutes,
        "teardown_seconds": row.teardown_seconds,
        "stranger_level": row.stranger_level,
        "fault": row.fault,
        "fault_since": row.fault_since and written(row.fault_since),
    }


@platform_command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """Every platform by name, and how it fares."""
    rows = [as_dict(row) for row in platforms.platforms(context.open_context(), context.OPERATOR)]
    if as_json:
        print_json({"items": rows})
        return
    told = [
        (row["name"], row["provisioner"] or "-", "yes" if row["pledges"] else "no", row["fault"] or "well")
        for row in rows
    ]
    print_table(("name", "provisioner", "pledges", "state"), told)


@platform_command.command("show")
@click.argument("name")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """One platform, and what it has set aside or shall set aside."""
    ctx = context.open_context()
    row = as_dict(platforms.platform(ctx, context.OPERATOR, name))
    found = [
        {
            "reservation": pledge.reservation_id,
            "booking": pledge.reservation.booking_id,
            "phase": pledge.phase.value,
            "reference": pledge.reference,
            "detail": pledge.detail,
        }
        for pledge in platforms.pledges(ctx, context.OPERATOR, name)
    ]
    if as_json:
        print_json({**row, "set_aside": found})
        return
    print_fields(row | {"settings": json.dumps(row["settings"])})
    if found:
        click.echo()
        names = ("reservation", "phase", "reference", "detail")
        print_table(names, [[pledge[column] for column in names] for pledge in found])


_OPTIONS = (
    click.option("--trait", "traits", multiple=True, help="What its hardware has, as gpu; may be repeated."),
    click.option("--provisioner", help="What makes clusters there; empty for the installation's own."),
    click.option("--set", "words", multiple=True, metavar="KEY=VALUE", help="A setting; may be repeated."),
    click.option("--lead-minutes", type=click.IntRange(0), help="Least time to make a cluster there."),
    click.option("--teardown-seconds", type=click.IntRange(0), help="Time to end a cluster there."),
    click.option(
        "--stranger-level", type=click.IntRange(0), help="Level that binds what others lease there."
    ),
    json_option,
)


def _options(command: Any) -> Any:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@platform_command.command("create")
@click.argument("name")
@_options
def create(name: str, *, as_json: bool, **values: Any) -> None:
    """Make a platform; nothing is asked of it yet (see `check`)."""
    ctx = context.open_context()
    new = NewPlatform(name, _change(values, {}))
    answer = as_dict(platforms.make(ctx, context.OPERATOR, new, _examine(ctx)))
    print_json(answer) if as_json else print_fields(answer)


@platform_command.command("change")
@click.argument("name")
@_options
def change(name: str, *, as_json: bool, **values: Any) -> None:
    """Change how a platform is spoken to; a setting without a value (KEY=) is removed, others stay."""
    ctx = context.open_context()
    before = platforms.platform(ctx, context.OPERATOR, name).settings or {}
    row = platforms.change(ctx, context.OPERATOR, name, _change(values, before), _examine(ctx))
    print_json(as_dict(row)) if as_json else print_fields(as_dict(row))


@platform_command.command("check")
@click.argument("name")
@json_option
def check(name: str, *, as_json: bool) -> None:
    """Ask a platform, line by line, what works and what is missing; nothing is made or changed there.

    Exit code 1 if something is missing.
    """
    ctx = context.open_context()
    row = platforms.platform(ctx, context.OPERATOR, name)
    if row.provisioner is None:
        raise click.ClickException(f"{row.name} has no provisioner of its own: nothing is asked of it.")
    try:
        ports = _examine(ctx)(Setup(row.id, row.name, row.provisioner, row.settings or {}))
    except SettingsFault as error:
        raise click.ClickException(str(error)) from None
    lines = list(ports.checks())
    if as_json:
        print_json({"items": [{"what": one.what, "ok": one.ok, "detail": one.detail} for one in lines]})
    else:
        print_table(
            ("", "what", "detail"), [("ok" if one.ok else "MISSING", one.what, one.detail) for one in lines]
        )
    raise SystemExit(0 if all(one.ok for one in lines) else 1)


def _examine(ctx: Context) -> Examine:
    return ports_of(ctx, setup.installation(ctx))


def _change(values: dict[str, Any], before: dict[str, Any]) -> PlatformChange:
    settings = dict(before)
    for word in values["words"]:
        key, equals, text = word.partition("=")
        if not equals:
            raise Invalid({word: ["is written KEY=VALUE"]})
        settings[key] = _value(text)
    return PlatformChange(
        values["traits"] or None,
        values["provisioner"],
        {key: value for key, value in settings.items() if value != ""} if values["words"] else None,
        values["lead_minutes"],
        values["teardown_seconds"],
        values["stranger_level"],
    )


def _value(text: str) -> Any:
    """A number, true, false, an object or list as JSON writes them; else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
