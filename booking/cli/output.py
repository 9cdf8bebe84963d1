"""How commands answer: JSON, aligned columns, and what went wrong as plain lines on standard error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from booking.errors import BookingError, CapacityConflict, Invalid, Refused

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """`--json` on a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def account_option(command: F) -> F:
    """`--account` on a command."""
    return click.option("--account", metavar="NAME", help="Act as this account, with its limits.")(command)


def print_json(value: object) -> None:
    """One JSON document, for programs and readable."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as they need; without rows, a word that there are none."""
    lines = [[str(cell) for cell in row] for row in rows]
    if not lines:
        click.echo("none")
        return
    widths = [max(len(line[i]) for line in [list(head), *lines]) for i in range(len(head))]
    for line in [head, *lines]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_fields(fields: Mapping[str, object]) -> None:
    """One `name  value` a line; empty values are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", [])}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        click.echo(f"{name.ljust(width)}  {value}")


def tell(error: BookingError) -> None:
    """A refusal in plain lines: the field or the rule, and what would pass instead."""
    for line in explained(error):
        click.echo(line, err=True)


def explained(error: BookingError) -> list[str]:
    """The lines that :func:`tell` says."""
    if isinstance(error, Invalid):
        return [f"{path}: {fault}" for path, faults in error.errors.items() for fault in faults]
    lines = [f"{error.detail} ({error.code})"]
    if isinstance(error, Refused):
        lines += [f"  {offer['kind']}: {as_command(offer['request'])}" for offer in error.alternatives]
    if isinstance(error, CapacityConflict):
        lines += [
            f"  {c['booking']} of {c['account']}: {c['package']} {c['start']} to {c['end']}"
            for c in error.conflicts
        ]
    return lines


def as_command(request: Mapping[str, Any]) -> str:
    """The body of a booking as the command that would make it."""
    words = ["booking book", request["package"]]
    spans = request["spans"]
    if len(spans) == 1:
        words.append(f"--start {spans[0]['start']} --end {spans[0]['end']}")
    else:
        words += [f"--span {span['start']}/{span['end']}" for span in spans]
    if request["sharing"] == "shared":
        words.append("--sharing shared")
    words.append(f"--pool {request['pool']}")
    for name, amount in request.get("custom", {}).items():
        words.append(f"--{name.replace('_', '-')} {amount}")
    if request.get("hold"):
        words.append("--hold")
    return " ".join(words)
