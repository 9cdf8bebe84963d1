"""The classes of weakness that booking systems and their neighbours had, each with the flaw that would bring it in.

A probe tries what an attacker would, and answers what got through: nothing, unless the flaw is planted.
Where there is no such surface yet, the probe looks for it, and the flaw is a route that would be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from tests.security.world import World

Probe = Callable[[World], list[str]]
Flaw = Callable[[World], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Weakness:
    """One class: what is tried, and how it would come in."""

    number: int
    name: str
    probe: Probe
    flaw: Flaw
    surface: bool = True
    """Whether the product has what it is about."""

    def __str__(self) -> str:
        return f"{self.number}. {self.name}"


def replaced(where: Any, name: str, by: Any) -> Flaw:
    """A flaw: one check of the product does something else."""
    return lambda _: patch.object(where, name, by)


def together(*flaws: Flaw) -> Flaw:
    """Several changes that make one flaw."""

    @contextmanager
    def plant(world: World) -> Iterator[None]:
        if not flaws:
            yield
            return
        with flaws[0](world), together(*flaws[1:])(world):
            yield

    return plant


def absent(*words: str) -> Probe:
    """Finds routes that have one of these words in their address."""

    def probe(world: World) -> list[str]:
        addresses = sorted(rule.rule for rule in world.app.url_map.iter_rules())
        return [address for address in addresses if any(word in address.lower() for word in words)]

    return probe


def route(address: str) -> Flaw:
    """A flaw: somebody adds such a route."""

    @contextmanager
    def plant(world: World) -> Iterator[None]:
        known = list(world.app.url_map.iter_rules())
        more = world.app.url_rule_class(address, endpoint="pages.landing", methods=["GET"])
        with patch.object(world.app.url_map, "iter_rules", lambda: iter([*known, more])):
            yield

    return plant


def nothing(*_: Any, **__: Any) -> None:
    """In place of a check."""


def yes(*_: Any, **__: Any) -> bool:
    """In place of a question."""
    return True


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def got_through(world: World, token: str, tries: list[tuple[str, str, Any]]) -> list[str]:
    """Which of these calls of the API succeed; a change is of whatever state there is."""
    found = []
    for method, path, body in tries:
        headers = bearer(token) | {"If-Match": "*"}
        answer = world.client.open(f"/api/v1{path}", method=method, json=body, headers=headers)
        if answer.status_code < 400:
            found.append(f"{method} {path}: {answer.status_code}")
    return found
