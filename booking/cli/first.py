"""What the first set-up made, as it is shown once."""

from __future__ import annotations

from typing import Any

from booking.services import setup


def as_json(made: setup.FirstSetUp | None) -> dict[str, Any]:
    """What a set-up made, for programs."""
    if made is None:
        return {}
    return {
        "admin": {"name": made.admin, "password": made.admin_password},
        "user": {"name": made.user, "password": made.user_password},
        "token": made.token,
    }


def announcement(made: setup.FirstSetUp) -> str:
    """What a set-up made, for people."""
    return f"""
The first set-up is complete. Keep these: they are shown this once, and stored only as hashes.

  administrator   {made.admin}   password  {made.admin_password}
  user            {made.user}    password  {made.user_password}
  API token       {made.token}
"""
