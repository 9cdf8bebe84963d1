"""How a bug is planted: the real code is changed for as long as a run lasts."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Spade:
    """Puts something else in the place of an attribute, and everything back at the end."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []
        self._caches: list[Any] = []

    def plant(self, owner: Any, name: str, value: Any) -> None:
        self._before.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def plant_everywhere(self, owners: tuple[Any, ...], name: str, value: Any) -> None:
        """The same in every module that has imported it."""
        for owner in owners:
            self.plant(owner, name, value)

    def rewrite(self, owner: Any, name: str, old: str, new: str) -> None:
        """Change a few words of a function or method.

        :raises ValueError: if the words are not there exactly once: the code has moved on.
        """
        function = vars(owner)[name]
        source = textwrap.dedent(inspect.getsource(function))
        if source.count(old) != 1:
            raise ValueError(f"{name}: {source.count(old)} times {old!r}")
        made: dict[str, Any] = {}
        code = compile("from __future__ import annotations\n" + source.replace(old, new), name, "exec")
        exec(code, inspect.getmodule(function).__dict__, made)  # the words are ours
        self.plant(owner, name, made[name])

    def forget(self, *caches: Any) -> None:
        """Empty caches of what was planted, now and when it is dug out again."""
        self._caches += caches
        for cache in caches:
            cache.cache_clear()

    def clean(self) -> None:
        while self._before:
            setattr(*self._before.pop())
        while self._caches:
            self._caches.pop().cache_clear()


@dataclass(frozen=True)
class Bug:
    """One mistake that somebody could make."""

    name: str
    plant: Callable[[Spade], None]
    says: str


BUGS: dict[str, Bug] = {}


def bug(function: Callable[[Spade], None]) -> Callable[[Spade], None]:
    """Register a bug under the name of its function; the docstring says what it is."""
    name = function.__name__.replace("_", " ")
    BUGS[name] = Bug(name, function, (function.__doc__ or "").strip())
    return function
