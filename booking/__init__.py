"""Book compute packages in a calendar; clusters exist for the booking and are gone at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from booking.config import Settings
    from booking.doors import Doors

__version__ = "0.1.0"


def create_app(settings: Settings | None = None, doors: Doors | None = None) -> Flask:
    """The web application: API and pages over one context.

    :raises SettingsError: if no settings are given and the environment does not make any.
    """
    from booking.app import build

    return build(settings, doors)
