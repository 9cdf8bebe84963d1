"""The settings in force, as `booking config` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from booking.config import PREFIX, Settings

MASK = "********"


def described(settings: Settings, environ: Mapping[str, str]) -> list[dict[str, str]]:
    """A row for each setting: variable, value (secrets masked), origin and meaning."""
    rows = []
    for item in fields(Settings):
        variable = PREFIX + item.name.upper()
        rows.append(
            {
                "variable": variable,
                "value": _shown(settings, item.name, secret=item.metadata["secret"]),
                "origin": "environment" if variable in environ else "default",
                "meaning": item.metadata["help"],
            }
        )
    return rows


def _shown(settings: Settings, name: str, *, secret: bool) -> str:
    if name == "database_url":
        try:
            return make_url(settings.url).render_as_string(hide_password=True)
        except ArgumentError:
            return MASK
    value = getattr(settings, name)
    if secret and value:
        return MASK
    return str(value).lower() if isinstance(value, bool) else str(value)
