"""`booking doctor`: everything that is known to go wrong, looked at, each fault with what mends it."""

from __future__ import annotations

import os

import click

from booking.adapters.base import Provisioner
from booking.cli import checks as machine
from booking.cli import context
from booking.cli.output import json_option, print_json
from booking.config import Settings
from booking.errors import BookingError
from booking.services import checks, doctor, setup
from booking.services.context import Context

SETTINGS = "settings"
_CORRECT = "correct or unset the variable; booking config shows every setting"


@click.command("doctor")
@json_option
def doctor_command(*, as_json: bool) -> None:
    """Look at settings, machine, database, scheduler and clusters; exit code 1 if something is wrong.

    Nothing is changed. Each fault comes with the command, or the act, that mends it.
    """
    results = examined()
    sound = all(result.fault == "" for result in results)
    if as_json:
        items = [
            {"name": one.name, "ok": one.fault == "", "fault": one.fault, "advice": one.advice}
            for one in results
        ]
        print_json({"ok": sound, "items": items})
    else:
        for result in results:
            click.echo("\n".join(_lines(result)))
    raise SystemExit(0 if sound else 1)


def examined() -> list[doctor.Result]:
    """What every check finds under the settings of the environment, wrong ones left out."""
    settings, faults = machine.usable(os.environ)
    ctx = context.new_context(settings)
    patient = doctor.Patient(
        ctx, lambda: _provisioner(ctx, settings), lambda: context.platforms_of(ctx, _name(ctx))
    )
    first = doctor.Result(SETTINGS, "; ".join(faults), _CORRECT)
    return [first, *doctor.examine(patient, (*machine.CHECKS, *checks.CHECKS))]


def _provisioner(ctx: Context, settings: Settings) -> Provisioner:
    return context.provisioner(settings, _name(ctx))


def _name(ctx: Context) -> str:
    try:
        return setup.installation(ctx)
    except BookingError:
        return ""


def _lines(result: doctor.Result) -> list[str]:
    if result.fault is None:
        return [f"?   {result.name}: could not be looked at"]
    if not result.fault:
        return [f"ok  {result.name}"]
    return [f"!!  {result.name}: {result.fault}", f"      {result.advice}"]
