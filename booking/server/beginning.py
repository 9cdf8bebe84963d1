"""What is done before anything is served: the log, and the first set-up."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from booking import logs
from booking.adapters.machine import this_machine
from booking.config import Settings, read_settings
from booking.services import setup
from booking.services.context import Context


def configure_logging() -> None:
    """Log as the environment says; see :func:`booking.logs.configure`."""
    logs.configure(read_settings(os.environ).log_format)


def set_up(ctx: Context, *, bare: bool = False) -> setup.FirstSetUp | None:
    """Do the first set-up where it was never completed; what it made, or None where nothing was to be shown."""
    with _alone(ctx.settings):
        if setup.is_complete(ctx):
            return None
        if bare:
            setup.bare(ctx)
            return None
        machine = this_machine()
        zone = ctx.settings.timezone or machine.timezone
        return setup.first(ctx, machine.cores, machine.memory_mib, zone)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Of several processes with this home, one at a time."""
    with (settings.home / ".set-up").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
