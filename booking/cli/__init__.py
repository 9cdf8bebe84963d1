"""The command line: the same services as the API, for whoever may log in to this machine.

Exit codes: 0 done; 1 refused, not there, or a difference was found; 2 the command itself is wrong.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from booking import __version__
from booking.errors import BookingError

COMMANDS = {
    "init": ("service", "Make the database, and at first a pool, packages, accounts and a token."),
    "serve": ("service", "Serve the site and the API, with the scheduler."),
    "scheduler": ("service", "Run one scheduler; of several, one leads."),
    "verify": ("service", "Recompute everything from the rows and report each difference."),
    "status": ("pause", "Who leads, whether the scheduler is paused, and what differs outside."),
    "pause": ("pause", "Let the scheduler make and end nothing."),
    "resume": ("pause", "Let a paused scheduler go on."),
    "doctor": ("doctor", "Look for what is wrong, and say what mends it."),
    "backup": ("backup", "Write everything into one file."),
    "restore": ("backup", "Replace the database by what a backup holds."),
    "config": ("service", "Show every setting, its value and where it comes from."),
    "account": ("accounts", "Accounts of people and programs."),
    "token": ("tokens", "Bearer tokens for programs."),
    "level": ("levels", "What each level may do."),
    "pool": ("pools", "Pools, and what they physically have, and when."),
    "platform": ("platforms", "The clouds and machines where pools live."),
    "package": ("packages", "The sizes that can be booked."),
    "template": ("templates", "Cards that book and open a notebook in one act."),
    "availability": ("calendar", "Draw what is free."),
    "book": ("bookings", "Book a package."),
    "bookings": ("bookings", "List bookings."),
    "waitlist": ("waitlist", "List what did not fit and is waited for."),
    "show": ("bookings", "Show one booking."),
    "cancel": ("bookings", "Cancel a booking, or end it if it is live."),
    "confirm": ("bookings", "Turn a hold into a booking."),
    "extend": ("bookings", "Move the end of a booking, later or earlier."),
}
"""Each command, the module that has it, and what the list of commands says of it.

A module is imported when its command is run: `booking --help` needs neither web nor database.
"""


class Root(click.Group):
    """Finds its commands by :data:`COMMANDS`, and says what went wrong in plain lines."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"booking.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} {_near(args[0])}".strip(), ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BookingError as error:
            from booking.cli.output import tell

            tell(error)
            ctx.exit(1)


def _near(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="booking")
def main() -> None:
    """Book compute packages in a calendar; clusters exist for the booking and are gone at its end.

    Settings come from the environment, BOOKING_HOME first of all; `booking config` shows them.
    Commands act for the local administrator. With --json they print JSON.
    """
