"""What can go wrong, as classes; each has a frozen code. Nothing here knows of HTTP.

BookingError
├── Invalid                 request.invalid               a field breaks a rule of form
│   ├── BeyondHorizon       booking.beyond_horizon
│   └── IdempotencyMismatch request.idempotency_mismatch  the key was used with another body
├── NotFound                <noun>.not_found              not there, or not yours to see
├── Unauthenticated         auth.required
├── Forbidden               auth.forbidden                known, but without the right
├── Refused                 a booking that was understood and not granted; carries alternatives
│   ├── NoCapacity          booking.no_capacity
│   ├── ConcurrentUpdate    booking.concurrent_update     lost a bounded number of races
│   └── PolicyRefused       policy.*                      carries the rule
├── Conflict                <noun>.conflict               the state of things does not allow it
│   ├── CapacityConflict    capacity.conflict             carries the bookings that would not fit
│   └── BadBackup           backup.conflict               a file that is no whole backup of a known kind
├── Stale                   request.stale                 If-Match names an older state
├── PreconditionRequired    request.precondition_required
├── TooMany                 request.too_many              a rate limit; carries when to come back
└── Unavailable             service.unavailable           the database cannot be reached or written
    └── Closed              pool.closed                   an audit found the pool at fault
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class BookingError(Exception):
    """The root; `detail` is a plain sentence for the person who asked."""

    code = "error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class Invalid(BookingError):
    """A request that cannot be understood; `errors` maps the path of each field to its faults."""

    code = "request.invalid"

    def __init__(self, errors: Mapping[str, Sequence[str]], detail: str | None = None) -> None:
        first = next(iter(errors.items()), ("request", ["is not valid"]))
        super().__init__(detail or f"{first[0]}: {first[1][0]}")
        self.errors = {path: list(faults) for path, faults in errors.items()}


class BeyondHorizon(Invalid):
    code = "booking.beyond_horizon"


class IdempotencyMismatch(Invalid):
    code = "request.idempotency_mismatch"


class NotFound(BookingError):
    """There is no such thing for this account; without a name, none at all."""

    def __init__(self, noun: str, name: str | None) -> None:
        detail = f"There is no {noun} yet." if name is None else f"There is no {noun} {name!r}."
        super().__init__(detail, code=f"{noun}.not_found")


class Unauthenticated(BookingError):
    code = "auth.required"


class Forbidden(BookingError):
    code = "auth.forbidden"


class Refused(BookingError):
    """Understood, and not granted; `alternatives` are requests that would succeed now."""

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.alternatives: list[dict[str, Any]] = []


class NoCapacity(Refused):
    code = "booking.no_capacity"


class ConcurrentUpdate(Refused):
    code = "booking.concurrent_update"


class PolicyRefused(Refused):
    """A rule of the account's level says no; `rule` says which, what you have, and what would pass."""

    def __init__(self, detail: str, *, code: str, rule: Mapping[str, Any]) -> None:
        super().__init__(detail, code=code)
        self.rule = dict(rule)


class Conflict(BookingError):
    code = "request.conflict"


class CapacityConflict(Conflict):
    """A change of capacity under what is booked; `conflicts` are the reservations that would lose."""

    code = "capacity.conflict"

    def __init__(self, detail: str, conflicts: list[dict[str, Any]]) -> None:
        super().__init__(detail)
        self.conflicts = conflicts


class BadBackup(Conflict):
    """The file is no backup, is damaged, or is of a later release."""

    code = "backup.conflict"


class Stale(BookingError):
    code = "request.stale"


class PreconditionRequired(BookingError):
    code = "request.precondition_required"


class TooMany(BookingError):
    code = "request.too_many"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        """Whole seconds."""


class Unavailable(BookingError):
    code = "service.unavailable"


class Closed(Unavailable):
    """Nothing new is promised in the pool until an audit finds it right again."""

    code = "pool.closed"
