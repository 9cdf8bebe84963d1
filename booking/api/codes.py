"""Every code that a problem may carry, for those who read the reference; none ever changes its meaning."""

from __future__ import annotations

NOUNS = (
    "account",
    "blackout",
    "booking",
    "group",
    "inventory",
    "level",
    "package",
    "pool",
    "reservation",
    "token",
)
"""What may not be there."""

MEANINGS = {
    "account.conflict": "The name is taken.",
    "auth.csrf": "A change by way of a session without its X-CSRFToken.",
    "auth.forbidden": "Known, but without the right.",
    "auth.required": "Nobody is known to ask, or the token is not valid.",
    "backup.conflict": "Of the command line: the file is no whole backup of a known kind.",
    "booking.beyond_horizon": "A span ends after the end of the calendar.",
    "booking.concurrent_update": "Others were quicker several times; repeat the request.",
    "booking.conflict": "The booking or reservation is not in a state that allows this.",
    "booking.no_capacity": "A span does not fit; `alternatives` would.",
    "capacity.conflict": "A cut below what is booked; `conflicts` would no longer fit.",
    "group.conflict": "The name is taken, or the group would be left without an administrator.",
    "policy.package_not_allowed": "The level may not book this package.",
    "policy.quota_exceeded": "More core-hours than the level has in four weeks.",
    "policy.sharing_not_allowed": "The level may not book in this way.",
    "policy.too_far_ahead": "The start lies further ahead than the level may book.",
    "policy.too_long": "A span is longer than the level may book.",
    "policy.too_many_at_once": "More reservations at one moment than the level may have.",
    "pool.closed": "An audit found a fault in the pool; nothing new is promised until it is right again.",
    "pool.conflict": "The name is taken.",
    "request.conflict": "The state of things does not allow this.",
    "request.idempotency_mismatch": "The Idempotency-Key came with another body before.",
    "request.invalid": "A field, a query parameter or a header breaks a rule of form; see `errors`.",
    "request.malformed": "The body is not JSON.",
    "request.method_not_allowed": "The address does not know this method.",
    "request.precondition_required": "The change needs If-Match.",
    "request.refused": "Refused by the server before it was read.",
    "request.stale": "If-Match names an older state.",
    "request.too_large": "The body is longer than 1 MiB.",
    "request.too_many": "A rate limit; come back after Retry-After seconds.",
    "request.unsupported_media_type": "The body is not application/json.",
    "route.not_found": "There is no such address.",
    "service.error": "A fault of ours; the request_id finds it in the log.",
    "service.not_ready": "Something that the service needs is missing.",
    "service.unavailable": "The database cannot be reached or written; come back after Retry-After seconds.",
} | {f"{noun}.not_found": f"There is no such {noun} for this account." for noun in NOUNS}
