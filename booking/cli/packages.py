"""`booking package`: the sizes that can be booked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from booking.allocator.durations import format_duration, parse_duration
from booking.allocator.package import Package, Size
from booking.cli import context
from booking.cli.output import json_option, print_fields, print_json, print_table
from booking.errors import Invalid
from booking.services import packages

AT_LEAST_ONE = click.IntRange(1)


@click.group("package")
def package_command() -> None:
    """The sizes that can be booked; a change makes the next version, and bookings keep theirs."""


def as_dict(package: Package) -> dict[str, Any]:
    """A package as the API shows it."""
    return {
        "name": package.name,
        "version": package.version,
        "notebook": {"cores": package.notebook.cores, "memory_mib": package.notebook.memory_mib},
        "worker": {
            "cores": package.worker.cores,
            "memory_mib": package.worker.memory_mib,
            "count": package.worker_count,
        },
        "demand": package.demand.amounts(),
        "lead_time": format_duration(package.lead_time),
    }


@package_command.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """The current packages, smallest first; memory in MiB."""
    found = context.open_context().db.read("packages", packages.current)
    if as_json:
        print_json({"items": [as_dict(package) for package in found]})
        return
    rows = [
        (
            p.name,
            p.version,
            _size(p.notebook),
            f"{p.worker_count} x {_size(p.worker)}",
            p.demand.cores,
            p.demand.memory_mib,
        )
        for p in found
    ]
    print_table(("name", "version", "notebook", "workers", "cores", "memory_mib"), rows)


def _size(size: Size) -> str:
    return f"{size.cores} cores, {size.memory_mib} MiB"


@package_command.command("create")
@click.argument("name")
@click.option("--notebook-cores", type=AT_LEAST_ONE, required=True)
@click.option("--notebook-memory-mib", type=AT_LEAST_ONE, required=True)
@click.option("--worker-cores", type=AT_LEAST_ONE, required=True)
@click.option("--worker-memory-mib", type=AT_LEAST_ONE, required=True)
@click.option("--worker-count", type=AT_LEAST_ONE, default=1, show_default=True)
@click.option(
    "--lead-time", default="PT0S", show_default=True, help="How long it takes to be ready, as PT5M."
)
@json_option
def create(name: str, lead_time: str, **values: Any) -> None:
    """Publish a package, or the next version of it."""
    package = Package(
        name,
        0,
        Size(values["notebook_cores"], values["notebook_memory_mib"]),
        Size(values["worker_cores"], values["worker_memory_mib"]),
        values["worker_count"],
        _lead_time(lead_time),
    )
    answer = as_dict(packages.publish(context.open_context(), context.OPERATOR, package).size)
    print_json(answer) if values["as_json"] else print_fields(answer)


def _lead_time(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Invalid({"lead_time": [str(error)]}) from None


@package_command.command("retire")
@click.argument("name")
def retire(name: str) -> None:
    """Take a package out of the calendar; what is booked of it stays."""
    packages.retire(context.open_context(), context.OPERATOR, name)
    click.echo("retired")
