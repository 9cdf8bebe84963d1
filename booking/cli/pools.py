"""`booking pool`: pools, and what they physically have, and when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import click

from booking.allocator.cells import Granularity
from booking.allocator.resources import KINDS
from booking.allocator.span import instant_of
from booking.allocator.timeline import Segment
from booking.cli import context, holdings, times
from booking.cli.options import amounts, resources_of
from booking.cli.output import json_option, print_fields, print_json, print_table
from booking.cli.reading import pool_named
from booking.models import Blackout, Inventory, Pool
from booking.services import capacity
from booking.services.exact import exact_timeline

_LOOK_AHEAD = timedelta(days=28)


@click.group("pool")
def pool_command() -> None:
    """Pools, and what they physically have, and when."""


pool_command.add_command(holdings.group("inventory", Inventory, "Dated amounts that a pool physically owns."))
pool_command.add_command(
    holdings.group("blackout", Blackout, "Dated amounts that are withdrawn from a pool.")
)


def as_dict(pool: Pool) -> dict[str, Any]:
    """A pool as the API shows it."""
    return {
        "id": pool.id,
        "name": pool.name,
        "platform": pool.platform.name,
        "traits": list(pool.traits),
        "timezone": pool.timezone,
        "granularity": pool.granularity.value,
        "generation": pool.generation,
        "closed": pool.closed_reason,
        "share_ratio": pool.share_ratio_milli / 1000,
        "level0_reserve": pool.resources.amounts(),
    }


@pool_command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """Every pool, the first made first."""
    rows = [as_dict(pool) for pool in capacity.pools(context.open_context())]
    if as_json:
        print_json({"items": rows})
        return
    names = ("name", "platform", "timezone", "granularity", "share_ratio", "generation", "id")
    print_table(names, [[row[name] for name in names] for row in rows])


@pool_command.command("create")
@click.argument("name")
@click.option(
    "--timezone", required=True, help="The zone whose days and hours are its cells, as Europe/Berlin."
)
@click.option(
    "--granularity", type=click.Choice([g.value for g in Granularity]), default="hour", show_default=True
)
@click.option("--platform", help="The cloud or machine where it lives; its own name if not given.")
@click.option("--trait", "traits", multiple=True, help="May be repeated.")
@click.option(
    "--share-ratio",
    type=click.FloatRange(1, 1000),
    default=1.0,
    show_default=True,
    help="How many shared bookings count as one.",
)
@amounts("level0-")
@json_option
def create(name: str, *, as_json: bool, **values: Any) -> None:
    """Make a pool without anything in it; --level0-* is what is set aside for level 0."""
    new = capacity.NewPool(
        name,
        values["timezone"],
        Granularity(values["granularity"]),
        values["platform"],
        values["traits"],
        round(values["share_ratio"] * 1000),
        resources_of(values, "level0_"),
    )
    answer = as_dict(capacity.make_pool(context.open_context(), context.OPERATOR, new))
    print_json(answer) if as_json else print_fields(answer)


@pool_command.command("show")
@click.argument("name", required=False)
@click.option("--from", "start", default=times.NOW, show_default=True)
@click.option("--to", "end", help="Four weeks later if not given; a time, or a length as P7D.")
@json_option
def show(name: str | None, start: str, end: str | None, *, as_json: bool) -> None:
    """A pool and its exact timeline: physical, reserved and available, piece by piece."""
    ctx = context.open_context()
    pool = pool_named(ctx, name)
    first = times.start_of("from", start, pool.zone, ctx.clock.now(), pool.granularity)
    last = times.end_of("to", end, pool.zone, first) if end else first + _LOOK_AHEAD
    exact = exact_timeline(ctx, pool.id, first, last)
    if as_json:
        print_json({**as_dict(pool), "segments": [_segment(segment) for segment in exact.segments]})
        return
    print_fields(as_dict(pool))
    click.echo()
    rows = [row for segment in exact.segments for row in _lines(segment, pool)]
    print_table(("start", "end", "kind", "physical", "reserved", "available"), rows)


def _lines(segment: Segment, pool: Pool) -> Iterator[tuple[object, ...]]:
    """A line for each kind of which there is anything."""
    start, end = (times.shown(instant_of(minute), pool.zone) for minute in (segment.start, segment.end))
    for kind, *side in zip(KINDS, segment.physical, segment.reserved, segment.available, strict=True):
        if any(side):
            yield start, end, kind, *side


def _segment(segment: Segment) -> dict[str, Any]:
    sides = {"physical": segment.physical, "reserved": segment.reserved, "available": segment.available}
    return {
        "start": times.written(instant_of(segment.start)),
        "end": times.written(instant_of(segment.end)),
        **{side: dict(zip(KINDS, amounts, strict=True)) for side, amounts in sides.items()},
    }
