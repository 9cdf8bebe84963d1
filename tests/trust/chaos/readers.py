"""Somebody who only reads, one address after the other, as pages and as a program."""

from __future__ import annotations

import threading
from itertools import cycle

from tests.trust.chaos.calls import Caller

PROGRAM = ("/availability", "/bookings?limit=5", "/packages", "/pools", "/accounts/me")
PAGES = ("", "login", "calendar", "calendar.txt", "bookings", "account", "docs/api", "readyz")


def read_everything(caller: Caller, site: str, stop: threading.Event, pause: float = 0.1) -> None:
    """Read until told to stop; what is wrong with an answer stands in the tally."""
    page = Caller(site, caller.token, caller.tally, is_excused=caller.is_excused)
    for who, path in cycle([*((caller, path) for path in PROGRAM), *((page, path) for path in PAGES)]):
        if stop.wait(pause):
            return
        who.once("GET", path)
