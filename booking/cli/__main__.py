"""`python -m booking.cli`: how the service starts its own parts."""

from __future__ import annotations

from booking.cli import main

main(prog_name="booking")
