"""Limits: every number of a level as data, which settings and accounts may override one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Self, TypeAlias

from booking.allocator.durations import format_duration, parse_duration
from booking.allocator.package import Sharing

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""What can be written as JSON without loss."""
_GREATEST = 2**53


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may do; None is no limit.

    `max_length` is of one span; `max_ahead` runs from now to the start of the latest span, 0 being
    "must start in the current cell"; `max_concurrent` counts reservations at any one moment;
    `core_hours` holds for any 4 consecutive ISO weeks of the pool's zone.
    """

    packages: frozenset[str] | None = None
    sharing: frozenset[Sharing] | None = None
    max_length: timedelta | None = None
    max_ahead: timedelta | None = None
    max_concurrent: int | None = None
    core_hours: int | None = None
    notebooks: int | None = None
    notebook_mib: int | None = None
    saved_gib: int | None = None
    temporary_gib: int | None = None
    saved_days: int | None = None
    temporary_days: int | None = None

    def overridden(self, mapping: Mapping[str, object]) -> Self:
        """The same limits with those of a JSON mapping in their place; null lifts a limit.

        :raises ValueError: naming the key that is unknown or whose value is not of its type.
        """
        changes: dict[str, Any] = {}
        for key, value in mapping.items():
            if key not in LIMIT_NAMES:
                raise ValueError(f"{key}: there is no such limit; known are {', '.join(LIMIT_NAMES)}")
            try:
                changes[key] = None if value is None else _READERS.get(key, _amount)(value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from error
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Json]:
        """Every limit by name as JSON: names sorted, lengths in ISO 8601, null for none."""
        return {name: _written(getattr(self, name)) for name in LIMIT_NAMES}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, object]) -> Self:
        """The limits of a JSON mapping; a key left out is no limit.

        :raises ValueError: naming the key that is unknown or whose value is not of its type.
        """
        return cls().overridden(mapping)


LIMIT_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Limits))


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        isinstance(name, str) and name for name in value
    ):
        raise ValueError("a list of names is needed")
    return frozenset(value)


def _sharing(value: object) -> frozenset[Sharing]:
    names = _names(value)
    known = {sharing.value for sharing in Sharing}
    if not names <= known:
        raise ValueError(f"only {', '.join(sorted(known))} are known")
    return frozenset(Sharing(name) for name in names)


def _length(value: object) -> timedelta:
    if not isinstance(value, str):
        raise ValueError("a length is written like P14D or PT4H")
    return parse_duration(value)


def _positive_length(value: object) -> timedelta:
    length = _length(value)
    if not length:
        raise ValueError("a booking of no length is none; take the package or the sharing away instead")
    return length


def _amount(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _GREATEST:
        raise ValueError("a whole number of at least 0 is needed")
    return value


_READERS: dict[str, Callable[[object], object]] = {
    "packages": _names,
    "sharing": _sharing,
    "max_length": _positive_length,
    "max_ahead": _length,
}


def _written(value: frozenset[str] | timedelta | int | None) -> Json:
    if isinstance(value, frozenset):
        return sorted(str(name) for name in value)
    if isinstance(value, timedelta):
        return format_duration(value)
    return value


DEFAULT_LIMITS: dict[int, Limits] = {
    0: Limits(
        packages=frozenset({"tiny"}),
        sharing=frozenset({Sharing.SHARED}),
        max_length=timedelta(hours=4),
        max_ahead=timedelta(0),
        max_concurrent=1,
        notebooks=3,
        notebook_mib=10,
        saved_gib=0,
        temporary_gib=1,
        saved_days=0,
        temporary_days=1,
    ),
    1: Limits(
        packages=frozenset({"tiny", "small", "medium", "large"}),
        sharing=frozenset({Sharing.SHARED, Sharing.RESERVED}),
        max_length=timedelta(days=14),
        max_ahead=timedelta(days=90),
        max_concurrent=5,
        core_hours=1000,
        notebooks=50,
        notebook_mib=100,
        saved_gib=20,
        temporary_gib=100,
        saved_days=180,
        temporary_days=30,
    ),
}
"""What levels come with; a level that is not listed has no limit until somebody sets one."""


def default_limits(level: int) -> Limits:
    """The limits a level comes with."""
    return DEFAULT_LIMITS.get(level, Limits())
