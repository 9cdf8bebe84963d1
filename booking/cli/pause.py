"""Commands that show, pause and resume the scheduler."""

from __future__ import annotations

import click

from booking.adapters.base import ProvisionerError
from booking.cli import context
from booking.cli.output import json_option, print_fields, print_json
from booking.models import Verdict
from booking.services import leadership, pausing, setup, work
from booking.services.context import Context


@click.command("status")
@json_option
def status_command(*, as_json: bool) -> None:
    """Who leads, whether the scheduler is paused and why, and what differs between the rows and the outside."""
    ctx = context.open_context()
    oldest, leader = work.oldest_due(ctx), leadership.leader(ctx)
    outside = _difference(ctx)
    told = {
        "leader": leader if leadership.is_led(ctx) else None,
        "paused": pausing.reason(ctx),
        "oldest_due_work": oldest.isoformat(timespec="seconds") if oldest else None,
    }
    if as_json:
        lists = {
            "strays": list(outside.strays),
            "missing": list(outside.missing),
            "unlisted": list(outside.unlisted),
        }
        print_json(told | lists)
        return
    print_fields(
        {
            "leader": told["leader"] or "none",
            "paused": told["paused"] or "no",
            "oldest due work": told["oldest_due_work"] or "none",
            "clusters": outside,
        }
    )


@click.command("pause")
@click.argument("reason")
def pause_command(reason: str) -> None:
    """Let the scheduler make and end nothing from its next tick on; REASON is shown to whoever asks.

    Clusters end by themselves at their own deadline all the same. Bookings are taken as ever.
    """
    pausing.pause(context.open_context(), reason)
    click.echo("The scheduler is paused: `booking resume` lets it go on.")


@click.command("resume")
@click.option(
    "--strays",
    type=click.Choice([verdict.value for verdict in Verdict]),
    help="End the clusters that no row knows, or keep them until they end by themselves.",
)
def resume_command(strays: str | None) -> None:
    """Let a paused scheduler go on; where clusters are known to no row, you must say what becomes of them."""
    ctx = context.open_context()
    outside = _difference(ctx)
    click.echo(f"clusters: {outside}")
    pausing.resume(ctx, Verdict(strays) if strays else None, outside.strays)
    click.echo("The scheduler goes on.")


def told_outside(ctx: Context) -> str:
    """What differs between the rows and the outside, in one line."""
    try:
        return f"clusters: {_difference(ctx)}"
    except click.ClickException as error:
        return error.message


def _difference(ctx: Context) -> pausing.Difference:
    """What every platform and the installation itself have, beside what the rows say."""
    installation = setup.installation(ctx)
    provisioner = context.provisioner(ctx.settings, installation)
    try:
        return pausing.difference(ctx, provisioner, context.platforms_of(ctx, installation))
    except ProvisionerError as error:
        raise click.ClickException(f"The outside could not be listed: {error}") from None
