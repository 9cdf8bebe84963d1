"""`booking token`: bearer tokens for programs."""

from __future__ import annotations

from datetime import timedelta

import click

from booking.cli import context
from booking.cli.output import json_option, print_json, print_table
from booking.services import tokens
from booking.services.context import SCOPES


@click.group("token")
def token_command() -> None:
    """Bearer tokens; each is shown once and kept as a hash."""


@token_command.command("create")
@click.argument("account")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated."
)
@click.option(
    "--days", type=click.IntRange(1, 36500), default=365, show_default=True, help="How long it holds."
)
@click.option("--label", default="", help="What it is for.")
@json_option
def create(account: str, scopes: tuple[str, ...], days: int, label: str, *, as_json: bool) -> None:
    """Make a token for an account, and print it: this is the only time."""
    ctx = context.open_context()
    made = tokens.make(ctx, context.OPERATOR, account, scopes, label, timedelta(days=days))
    if as_json:
        print_json(
            {
                "token": made.secret,
                "id": made.row.id,
                "scopes": made.row.scopes,
                "expires": made.row.expires_at.isoformat().replace("+00:00", "Z"),
            }
        )
    else:
        click.echo(made.secret)


@token_command.command("list")
@click.argument("account")
@json_option
def list_(account: str, *, as_json: bool) -> None:
    """The tokens of an account that still hold; never their secrets."""
    ctx = context.open_context()
    rows = [
        {
            "id": row.id,
            "label": row.label,
            "scopes": row.scopes,
            "created": row.created_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "expires": row.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        for row in tokens.mine(ctx, context.actor_named(ctx, account))
    ]
    if as_json:
        print_json({"items": rows})
        return
    table = [(r["id"], ", ".join(r["scopes"]), r["created"], r["expires"], r["label"]) for r in rows]
    print_table(("id", "scopes", "created", "expires", "label"), table)


@token_command.command("revoke")
@click.argument("id_", metavar="ID")
def revoke(id_: str) -> None:
    """End a token at once."""
    tokens.revoke(context.open_context(), context.OPERATOR, id_)
    click.echo("revoked")
