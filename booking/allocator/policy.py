"""Policy: which rules of a level a request breaks; each says the rule, what you have, what would pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from booking.allocator.durations import format_duration, later, measured, say_duration
from booking.allocator.limits import DEFAULT_LIMITS, LIMIT_NAMES, Json, Limits, default_limits
from booking.allocator.package import Sharing
from booking.allocator.quota import Claim, Quota, first_week_that_passes, quota_of
from booking.allocator.resources import Resources
from booking.allocator.span import Span

__all__ = [
    "DEFAULT_LIMITS",
    "LIMIT_NAMES",
    "Ask",
    "Claim",
    "Json",
    "Limits",
    "Quota",
    "Rule",
    "broken_rules",
    "default_limits",
    "permits",
    "quota",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """A broken rule: its frozen code, one plain sentence, and the three values as JSON."""

    name: str
    detail: str
    limit: Json
    have: Json
    passes: Json


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for, when, and what the account has already been promised.

    `existing` are the account's counted reservations from four weeks before the first asked span on, however
    far ahead: where a quota is full, they tell in which week it is free again. Of ended ones it is what
    was used.

    :raises ValueError: if no span is asked for.
    """

    package: str
    sharing: Sharing
    demand: Resources
    spans: tuple[Span, ...]
    now: datetime
    zone: ZoneInfo
    existing: tuple[Claim, ...] = ()

    def __post_init__(self) -> None:
        if not self.spans:
            raise ValueError("a request asks for at least one span")

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The asked spans as they would be charged: plain cores, shared ones too."""
        return tuple(Claim(span, self.demand.cores) for span in self.spans)


def broken_rules(limits: Limits, ask: Ask) -> list[Rule]:
    """Every rule the request breaks, in a fixed order; a refusal names the first."""
    checks = (_package, _sharing, _length, _ahead, _concurrent, _core_hours)
    return [rule for check in checks if (rule := check(limits, ask)) is not None]


def permits(limits: Limits, ask: Ask) -> bool:
    """Whether the request breaks no rule; cheaper than to tell which, for those who try many requests."""
    plain = (_package, _sharing, _length, _ahead)
    if any(check(limits, ask) is not None for check in plain):
        return False
    if limits.max_concurrent is not None and _peak(ask)[0] > limits.max_concurrent:
        return False
    left = None if limits.core_hours is None else quota(limits, ask).left
    return left is None or left >= 0


def quota(limits: Limits, ask: Ask) -> Quota:
    """What the request costs of the account's core-hours, in the tightest four weeks it touches."""
    return quota_of(ask.zone, limits.core_hours, ask.claims, ask.existing)


def _package(limits: Limits, ask: Ask) -> Rule | None:
    if limits.packages is None or ask.package in limits.packages:
        return None
    names = sorted(limits.packages)
    detail = f"Your level may book {_list(names)}, and you asked for {ask.package}."
    return Rule("policy.package_not_allowed", detail, names, ask.package, names)


def _sharing(limits: Limits, ask: Ask) -> Rule | None:
    if limits.sharing is None or ask.sharing in limits.sharing:
        return None
    names = sorted(sharing.value for sharing in limits.sharing)
    detail = f"Your level may book {_list(names)}, and you asked for {ask.sharing.value}."
    return Rule("policy.sharing_not_allowed", detail, names, ask.sharing.value, names)


def _length(limits: Limits, ask: Ask) -> Rule | None:
    limit = limits.max_length
    if limit is None:
        return None
    broken = [span for span in ask.spans if span.end > later(ask.zone, span.start, limit)]
    if not broken:
        return None
    longest = max(broken, key=lambda span: span.length)
    have = measured(ask.zone, longest.start, longest.end)
    detail = f"One span may be {say_duration(limit)} long, and you asked for {say_duration(have)}."
    written = format_duration(limit)
    return Rule("policy.too_long", detail, written, format_duration(have), written)


def _ahead(limits: Limits, ask: Ask) -> Rule | None:
    limit = limits.max_ahead
    if limit is None:
        return None
    start = max(span.start for span in ask.spans)
    latest = later(ask.zone, ask.now, limit)
    if start <= latest:
        return None
    have = measured(ask.zone, ask.now, start)
    may = f"no later than {say_duration(limit)} from now" if limit else "now, not later"
    detail = f"A booking of yours may start {may}; you asked for a start {say_duration(have)} from now."
    return Rule("policy.too_far_ahead", detail, format_duration(limit), format_duration(have), _z(latest))


def _concurrent(limits: Limits, ask: Ask) -> Rule | None:
    limit = limits.max_concurrent
    if limit is None:
        return None
    have, moment = _peak(ask)
    if have <= limit:
        return None
    passes = _first_below(limit, [claim.span for claim in ask.existing], moment)
    told = f"; one more fits from {_local(ask, passes)}" if passes else ""
    detail = (
        f"You may have {limit} at the same time, and with this request you would have {have} "
        f"on {_local(ask, moment)}{told}."
    )
    return Rule("policy.too_many_at_once", detail, limit, have, _z(passes) if passes else None)


def _peak(ask: Ask) -> tuple[int, datetime]:
    """The most reservations at one moment of the asked spans from now on, and the first such moment."""
    changes = []
    hull = Span(min(span.start for span in ask.spans), max(span.end for span in ask.spans))
    near = [claim.span for claim in ask.existing if claim.span.overlaps(hull)]
    for asked, spans in ((1, ask.spans), (0, near)):
        for span in spans:
            if span.end > ask.now:
                changes += [(max(span.start, ask.now), 1, asked), (span.end, -1, -asked)]
    peak, moment, count, mine = 0, ask.now, 0, 0
    # At one instant the ends sort before the starts: spans that only touch are never two at once.
    for instant, change, asked in sorted(changes):
        count, mine = count + change, mine + asked
        if mine and count > peak:
            peak, moment = count, instant
    return peak, moment


def _first_below(limit: int, existing: Sequence[Span], moment: datetime) -> datetime | None:
    """The first instant after `moment` at which fewer than `limit` of the existing spans run."""
    for instant in sorted(span.end for span in existing if span.end > moment):
        if sum(span.contains(instant) for span in existing) < limit:
            return instant
    return None


def _core_hours(limits: Limits, ask: Ask) -> Rule | None:
    limit = limits.core_hours
    if limit is None:
        return None
    found = quota(limits, ask)
    if found.left is None or found.left >= 0:
        return None
    remaining = max(0.0, limit - found.used)
    week = first_week_that_passes(ask.zone, limit, ask.claims, ask.existing)
    detail = (
        f"You may book {limit} core-hours in any four weeks; from {_local(ask, found.window.start, '')} "
        f"on you have booked {found.used:g}, this would cost {found.cost:g}, and {remaining:g} would pass"
        + (f"; the same fits in the week of {week.day} {week:%b %Y}." if week else ".")
    )
    passes: Json = {"core_hours": remaining, "week": week.isoformat() if week else None}
    have: Json = {"used": found.used, "cost": found.cost}
    return Rule("policy.quota_exceeded", detail, limit, have, passes)


def _list(names: Sequence[str]) -> str:
    return "only " + ", ".join(names) if names else "nothing"


def _z(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _local(ask: Ask, instant: datetime, clock: str = " at %H:%M") -> str:
    wall = instant.astimezone(ask.zone)
    return wall.strftime(f"%a {wall.day} %b %Y{clock}")
