"""What may stand in an address where a name or a number is meant."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_smorest import Api
from werkzeug.routing import BaseConverter

from booking.api.schemas.accounts import MOST_LEVEL

WORDS = ("me", "try")
"""Words of the API that stand where the name of an account would."""


class AccountConverter(BaseConverter):
    """A name or id; the words of the API are none."""

    regex = rf"(?!(?:{'|'.join(WORDS)})(?:/|$))[^/]+"


class LevelConverter(BaseConverter):
    """A level; a number that no level has is for the route to refuse, so that its methods are told right."""

    regex = r"\d{1,4}"

    def to_python(self, value: str) -> int:
        return int(value)


def init_app(app: Flask) -> None:
    """Let addresses use them."""
    app.url_map.converters.update(account=AccountConverter, level=LevelConverter)


def describe(api: Api) -> None:
    """Tell the specification what they let through."""

    def level(_: BaseConverter) -> dict[str, Any]:
        return {"type": "integer", "minimum": 0, "maximum": MOST_LEVEL}

    api.register_converter(LevelConverter, level)
