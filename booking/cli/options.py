"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from booking.allocator.resources import KINDS, Resources

F = TypeVar("F", bound=Callable[..., Any])


def amounts(prefix: str = "") -> Callable[[F], F]:
    """An option for each kind of resource; `prefix` is as in `level0-`."""

    def add(command: F) -> F:
        for kind in reversed(KINDS):
            name = f"--{prefix}{kind.replace('_', '-')}"
            command = click.option(name, type=click.IntRange(0), default=0, show_default=True)(command)
        return command

    return add


def resources_of(values: Mapping[str, Any], prefix: str = "") -> Resources:
    """The vector of the options that :func:`amounts` made; `prefix` is as in `level0_`."""
    return Resources.of({kind: values[f"{prefix}{kind}"] for kind in KINDS})


def sizes(command: F) -> F:
    """The sizes of a custom package."""
    told = "Of a custom package."
    command = click.option("--worker-count", type=click.IntRange(1), default=1, help=told)(command)
    for name in ("worker-memory-mib", "worker-cores", "notebook-memory-mib", "notebook-cores"):
        command = click.option(f"--{name}", type=click.IntRange(1), help=told)(command)
    return command


def trait_option(command: F) -> F:
    """What the hardware of the pool must have."""
    told = "Only a pool with that trait, or on the platform of that name; may be repeated."
    return click.option("--trait", "traits", multiple=True, help=told)(command)
