"""Commands that make, run and check the service."""

from __future__ import annotations

import os
import sys
import time

import click

from booking.cli import context
from booking.cli.output import json_option, print_json, print_table
from booking.errors import Unavailable

_AGAIN_SECONDS = 1.0


@click.command("init")
@click.option("--bare", is_flag=True, help="Only the tables: no pool, packages, accounts or token.")
@json_option
def init_command(*, bare: bool, as_json: bool) -> None:
    """Make the database or bring it up to date; the first time also what is needed to begin.

    Passwords and the token are printed once and kept nowhere in the clear.
    """
    from booking import server
    from booking.cli import first

    made = server.set_up(context.migrated_context(context.settings()), bare=bare)
    if as_json:
        print_json({"first": made is not None, **first.as_json(made)})
    elif made is not None:
        click.echo(first.announcement(made))
    else:
        click.echo("The database is up to date.")


@click.command("serve")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--no-scheduler", is_flag=True, help="Serve only; run `booking scheduler` beside it.")
def serve_command(host: str | None, port: int | None, *, no_scheduler: bool) -> None:
    """Serve the site and the API, with the scheduler, until Ctrl-C or SIGTERM.

    A database is made or brought up to date first. What dies is started again. SIGHUP renews the web server and
    the scheduler while requests are answered.
    """
    from booking import exposition, server
    from booking.cli import first

    # The parts read their settings from the environment too.
    if host is not None:
        os.environ["BOOKING_HOST"] = host
    if port is not None:
        os.environ["BOOKING_PORT"] = str(port)
    known = context.settings()
    context.provisioner(known)
    try:
        supervisor = server.Supervisor(known, with_scheduler=not no_scheduler)
    except server.CannotServe as error:
        raise click.ClickException(str(error)) from None
    with supervisor:
        ctx = context.migrated_context(known)
        made = server.set_up(ctx)
        ctx.db.engine.dispose()
        os.environ[exposition.FOLDER] = str(exposition.common_folder(known.home))
        if made is not None:
            click.echo(first.announcement(made))
        sys.stdout.flush()
        raise SystemExit(supervisor.run(click.echo))


@click.command("scheduler")
def scheduler_command() -> None:
    """Run one scheduler until SIGTERM; of several on one database, one leads and the others wait.

    A database that is away is waited for.
    """
    from booking import server
    from booking.lanes import Lanes
    from booking.provisioning import ports_of
    from booking.services import setup

    ctx, installation = None, ""
    while ctx is None:
        try:
            ctx = context.open_context(serving=True)
            installation = setup.installation(ctx)
        except Unavailable as error:
            click.echo(f"{error} It is tried again.", err=True)
            time.sleep(_AGAIN_SECONDS)
    lanes = Lanes(ctx, ports_of(ctx, installation))
    server.run_scheduler(ctx, context.provisioner(ctx.settings, installation), lanes)


@click.command("verify")
@json_option
def verify_command(*, as_json: bool) -> None:
    """Recompute everything from the rows; one line and exit code 1 for differences."""
    from booking.services.verify import differences

    found = differences(context.open_context())
    if as_json:
        print_json({"ok": not found, "differences": found})
    else:
        click.echo("\n".join(found) or "all is well")
    raise SystemExit(1 if found else 0)


@click.command("config")
@json_option
def config_command(*, as_json: bool) -> None:
    """Every setting: its variable, its value, where that comes from, and what it means."""
    from booking.cli.settings import described

    rows = described(context.settings(), os.environ)
    if as_json:
        print_json({"items": rows})
    else:
        names = ("variable", "value", "origin", "meaning")
        print_table(names, [[row[name] for name in names] for row in rows])
