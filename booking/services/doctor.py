"""The doctor: a check is a name, a look that says what is wrong, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy.exc import SQLAlchemyError

from booking.adapters.base import Provisioner, ProvisionerError
from booking.errors import BookingError
from booking.services.context import Context
from booking.services.pausing import Outside

_SHOWN = 5


@dataclass(frozen=True)
class Patient:
    """What is examined."""

    ctx: Context
    make_provisioner: Callable[[], Provisioner]
    list_platforms: Callable[[], Sequence[Outside]] = tuple
    """Those that make clusters by themselves."""

    @cached_property
    def provisioner(self) -> Provisioner:
        return self.make_provisioner()


@dataclass(frozen=True)
class Check:
    """One question; `look` answers what is wrong in a sentence, or nothing."""

    name: str
    look: Callable[[Patient], str | None]
    advice: str
    """What to type, or to do."""
    needs: str = ""
    """The check without which this one cannot be made."""


@dataclass(frozen=True)
class Result:
    """What a check found; `fault` is empty where all is well, None where it could not be made."""

    name: str
    fault: str | None
    advice: str


def examine(patient: Patient, checks: Sequence[Check]) -> list[Result]:
    """Make all checks, in order; what needs one that failed is left out."""
    results: dict[str, Result] = {}
    for check in checks:
        before = results.get(check.needs)
        fault = None if before is not None and before.fault != "" else _looked(patient, check)
        results[check.name] = Result(check.name, fault, check.advice)
    return list(results.values())


def _looked(patient: Patient, check: Check) -> str:
    try:
        return check.look(patient) or ""
    except (BookingError, ProvisionerError, SQLAlchemyError, OSError, LookupError, ValueError) as error:
        # What is ill may break any look; the others are made all the same.
        return f"it could not be looked at: {error}"


def some(what: str, names: Sequence[str]) -> str | None:
    """Some of the names, and how many there are."""
    if not names:
        return None
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what}: {'; '.join(names[:_SHOWN])}{more}"
