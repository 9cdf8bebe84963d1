"""`booking pool inventory` and `booking pool blackout`: dated amounts, which differ in their table only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.resources import KINDS
from booking.allocator.span import FOREVER
from booking.cli import context, times
from booking.cli.options import amounts, resources_of
from booking.cli.output import json_option, print_json, print_table
from booking.cli.reading import pool_named
from booking.models import Blackout, Inventory, Pool, Reservation
from booking.services import capacity
from booking.services.context import Context

F = TypeVar("F", bound=Callable[..., Any])


def group(noun: str, table: type[Inventory] | type[Blackout], told: str) -> click.Group:
    """The commands of one table."""
    commands = click.Group(noun, help=told)
    commands.add_command(_list(table))
    commands.add_command(_add(table))
    commands.add_command(_end(table))
    return commands


def _list(table: type[Inventory] | type[Blackout]) -> click.Command:
    @click.command("list")
    @click.argument("pool", required=False)
    @json_option
    def command(pool: str | None, *, as_json: bool) -> None:
        """Every dated amount of a pool, past ones too."""
        ctx = context.open_context()
        found = pool_named(ctx, pool)
        rows = ctx.db.read("holdings", lambda session: _rows(session, table, found))
        if as_json:
            print_json({"items": [as_dict(row) for row in rows]})
            return
        lines = [(row.id, *_ends(row, found), *row.resources.vector(), row.reason) for row in rows]
        print_table(("id", "start", "end", *KINDS, "reason"), lines)

    return command


def _add(table: type[Inventory] | type[Blackout]) -> click.Command:
    @click.command("add")
    @click.argument("pool")
    @click.option("--start", default=times.NOW, show_default=True)
    @click.option("--end", help="Until further notice if not given; a time, or a length as P7D.")
    @click.option("--reason", required=True)
    @amounts()
    @_on_conflict
    @json_option
    def command(pool: str, start: str, end: str | None, **values: Any) -> None:
        """Add a dated amount."""
        ctx = context.open_context()
        found = pool_named(ctx, pool)
        first = times.start_of("start", start, found.zone, ctx.clock.now(), found.granularity)
        last = times.end_of("end", end, found.zone, first) if end else FOREVER
        holding = capacity.Holding(times.span_of(first, last), resources_of(values), values["reason"])
        _edit(ctx, found, capacity.Edit(found.id, table, None, holding), values)

    return command


def _end(table: type[Inventory] | type[Blackout]) -> click.Command:
    @click.command("end")
    @click.argument("pool")
    @click.argument("id_", metavar="ID")
    @click.option("--end", default=times.NOW, show_default=True, help="Its new end.")
    @_on_conflict
    @json_option
    def command(pool: str, id_: str, end: str, **values: Any) -> None:
        """Let a dated amount end; one that would not have begun by then is removed."""
        ctx = context.open_context()
        found = pool_named(ctx, pool)
        rows = ctx.db.read("holdings", lambda session: _rows(session, table, found))
        row = next((row for row in rows if row.id == id_), None)
        last = times.start_of("end", end, found.zone, ctx.clock.now(), found.granularity)
        holding = None
        if row is not None and last > row.start:
            holding = capacity.Holding(times.span_of(row.start, last), row.resources, row.reason)
        _edit(ctx, found, capacity.Edit(found.id, table, id_, holding), values)

    return command


def _rows(
    session: Session, table: type[Inventory] | type[Blackout], pool: Pool
) -> list[Inventory | Blackout]:
    query = select(table).where(table.pool_id == pool.id).order_by(table.start, table.id)
    return [row for row in session.scalars(query) if isinstance(row, Inventory | Blackout)]


def _on_conflict(command: F) -> F:
    choices = click.Choice([choice.value for choice in capacity.OnConflict])
    told = "What happens to bookings that would no longer fit."
    command = click.option("--dry-run", is_flag=True, help="Only show those bookings.")(command)
    return click.option("--on-conflict", type=choices, default="refuse", show_default=True, help=told)(
        command
    )


def _edit(ctx: Context, pool: Pool, wanted: capacity.Edit, values: dict[str, Any]) -> None:
    on_conflict = capacity.OnConflict(values["on_conflict"])
    wanted = replace(wanted, on_conflict=on_conflict, dry_run=values["dry_run"])
    impact = capacity.edit(ctx, context.OPERATOR, wanted)
    if values["as_json"]:
        row = as_dict(impact.row) if impact.row is not None and wanted.holding is not None else None
        print_json({"row": row, "conflicts": [capacity.described(r) for r in impact.conflicts]})
        return
    if wanted.dry_run:
        click.echo("Nothing was changed.")
    elif impact.row is not None:
        click.echo(f"{impact.row.id} {'removed' if wanted.holding is None else 'saved'}")
    if impact.conflicts or wanted.dry_run:
        click.echo("Bookings that no longer fit:")
        lines = [_conflict(reservation, pool) for reservation in impact.conflicts]
        print_table(("booking", "account", "package", "start", "end"), lines)


def _conflict(reservation: Reservation, pool: Pool) -> tuple[str, ...]:
    booking = reservation.booking
    return booking.id, booking.account.name, booking.package_name, *_ends(reservation, pool)


def _ends(row: Inventory | Blackout | Reservation, pool: Pool) -> tuple[str, str]:
    return times.shown(row.start, pool.zone), times.shown(row.end, pool.zone)


def as_dict(row: Inventory | Blackout) -> dict[str, Any]:
    """A dated amount as the API shows it."""
    return {
        "id": row.id,
        "span": {"start": times.written(row.start), "end": times.written(row.end)},
        "resources": row.resources.amounts(),
        "reason": row.reason,
    }
