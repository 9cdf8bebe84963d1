"""Levels: what each may book, by how much, how far ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from booking.allocator.policy import LIMIT_NAMES, Limits
from booking.api.noun import SIGNED_IN, Noun
from booking.api.schemas.accounts import MOST_LEVEL, LevelList, LevelOut, LimitsIn
from booking.errors import NotFound
from booking.identity import context, require_actor
from booking.services import levels

blp = Noun("levels", "The limits of each level; an account may differ from them.")
_LEVEL = "/levels/<level:level>"


def _set(level: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    if level > MOST_LEVEL:
        raise NotFound("level", str(level))
    return _shown(level, levels.change(context(), require_actor(), level, changes))


def _shown(level: int, limits: Limits) -> dict[str, Any]:
    return {"level": level, "limits": limits.as_dict()}


@blp.get("/levels")
@blp.needs(SIGNED_IN)
@blp.response(200, LevelList)
def list_levels() -> dict[str, Any]:
    """Every level that has limits; one that is not listed has none."""
    found = levels.known(context())
    return {"items": [_shown(level, limits) for level, limits in found.items()], "next": None}


@blp.patch(_LEVEL)
@blp.needs("admin", 404)
@blp.body(LimitsIn)
@blp.response(200, LevelOut)
def change_level(body: dict[str, Any], level: int) -> dict[str, Any]:
    """Change some limits of a level; null lifts one (administrators)."""
    return _set(level, body["limits"])


@blp.put(_LEVEL)
@blp.needs("admin", 404)
@blp.body(LimitsIn)
@blp.response(200, LevelOut)
def replace_level(body: dict[str, Any], level: int) -> dict[str, Any]:
    """Set all limits of a level; those that are left out are lifted (administrators)."""
    return _set(level, dict.fromkeys(LIMIT_NAMES) | body["limits"])
