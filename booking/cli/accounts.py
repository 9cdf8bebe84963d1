"""`booking account`: who may come in, and at which level."""

from __future__ import annotations

import sys
from typing import Any

import click

from booking.cli import context
from booking.cli.output import json_option, print_fields, print_json, print_table
from booking.models import Account, AccountKind
from booking.services import accounts
from booking.services.context import Context

PAGE = 500


@click.group("account")
def account_command() -> None:
    """Accounts of people and programs."""


def as_dict(account: Account) -> dict[str, Any]:
    """An account as commands print it."""
    return {
        "id": account.id,
        "name": account.name,
        "kind": account.kind.value,
        "level": account.level,
        "admin": account.is_admin,
        "limits": account.limits,
        "disabled": account.disabled_at is not None,
    }


def chosen_password(ctx: Context, *, from_stdin: bool) -> tuple[str, bool]:
    """The first line of standard input, or a new one; whether it is new and must be shown."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    return ctx.ids.secret()[:16], True


@account_command.command("create")
@click.argument("name")
@click.option("--level", type=click.IntRange(0), default=1, show_default=True)
@click.option("--admin", is_flag=True, help="May do everything, limited by nothing but capacity.")
@click.option("--service", is_flag=True, help="A program: it has tokens and no password.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@json_option
def create(name: str, level: int, **flags: bool) -> None:
    """Make an account; unless a password is given, one is made and printed once."""
    ctx = context.open_context()
    password, fresh = (
        (None, False) if flags["service"] else chosen_password(ctx, from_stdin=flags["password_stdin"])
    )
    kind = AccountKind.SERVICE if flags["service"] else AccountKind.PERSON
    new = accounts.NewAccount(name, password, level, flags["admin"], kind)
    answer = as_dict(accounts.create(ctx, context.OPERATOR, new))
    if fresh:
        answer["password"] = password
    print_json(answer) if flags["as_json"] else print_fields(answer)


@account_command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """Every account by name."""
    ctx = context.open_context()
    rows: list[Account] = []
    while page := accounts.listed(ctx, context.OPERATOR, rows[-1].name if rows else None, PAGE):
        rows += page
    if as_json:
        print_json({"items": [as_dict(row) for row in rows]})
        return
    table = [
        (row.name, row.kind, row.level, "yes" if row.is_admin else "", "no" if row.disabled_at else "yes")
        for row in rows
    ]
    print_table(("name", "kind", "level", "admin", "usable"), table)


@account_command.command("level")
@click.argument("name")
@click.argument("level", type=click.IntRange(0))
@json_option
def level(name: str, level: int, *, as_json: bool) -> None:
    """Put an account on a level."""
    _change(name, accounts.AccountChange(level=level), as_json=as_json)


@account_command.command("disable")
@click.argument("name")
@json_option
def disable(name: str, *, as_json: bool) -> None:
    """Close an account: its sessions end and its tokens no longer hold; its bookings stay."""
    _change(name, accounts.AccountChange(disabled=True), as_json=as_json)


@account_command.command("enable")
@click.argument("name")
@json_option
def enable(name: str, *, as_json: bool) -> None:
    """Open an account again."""
    _change(name, accounts.AccountChange(disabled=False), as_json=as_json)


@account_command.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@json_option
def password(name: str, *, password_stdin: bool, as_json: bool) -> None:
    """Give an account a new password; its sessions end."""
    ctx = context.open_context()
    secret, fresh = chosen_password(ctx, from_stdin=password_stdin)
    answer = as_dict(accounts.change(ctx, context.OPERATOR, name, accounts.AccountChange(password=secret)))
    if fresh:
        answer["password"] = secret
    print_json(answer) if as_json else print_fields(answer)


def _change(name: str, wanted: accounts.AccountChange, *, as_json: bool) -> None:
    answer = as_dict(accounts.change(context.open_context(), context.OPERATOR, name, wanted))
    print_json(answer) if as_json else print_fields(answer)
