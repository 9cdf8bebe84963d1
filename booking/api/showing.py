"""How bookings are told, and to whom the tokens of their clusters are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import current_app

from booking.adapters.base import Provisioner, ProvisionerError
from booking.allocator.lifecycle import LIVE
from booking.allocator.package import CUSTOM
from booking.api.packages import shown as shown_package
from booking.api.schemas.fields import stamp
from booking.identity import context
from booking.models import Booking, Cluster, ClusterPhase, Reservation
from booking.provisioning import tokens_on
from booking.services.listing import Seen, Told
from booking.services.offers import custom_body

log = logging.getLogger(__name__)

Tokens = Mapping[str, Mapping[str, str] | None]
"""The tokens of each reservation by the name of the endpoint; None where they cannot be read."""


def provisioner() -> Provisioner:
    """What makes clusters here."""
    found: Provisioner = current_app.extensions["booking.provisioner"]()
    return found


def tokens_of(seen: Seen) -> Tokens:
    """The tokens that this reader may have: of ready clusters that the reader may use."""
    ready = [
        row for row in seen.booking.reservations if row.cluster and row.cluster.phase is ClusterPhase.READY
    ]
    if not seen.usable or not ready:
        return {}
    return {row.id: _credentials(row) for row in ready}


def _credentials(reservation: Reservation) -> Mapping[str, str] | None:
    try:
        if reservation.cluster is None or reservation.cluster.platform_id is None:
            return provisioner().credentials(reservation.id)
        return tokens_on(context(), reservation.cluster.platform_id)(reservation.id)
    except ProvisionerError as error:
        log.warning("no tokens of %s: %s", reservation.id, error)
        return None


def shown(seen: Seen) -> dict[str, Any]:
    """A booking as this reader is told it, tokens included."""
    return shown_without_tokens(seen, tokens_of(seen))


def fresh(booking: Booking) -> dict[str, Any]:
    """A booking that has just been made, as its owner is told it."""
    return shown_without_tokens(Seen(booking, booking.group.name if booking.group else None, True), {})


def shown_without_tokens(seen: Seen, tokens: Tokens) -> dict[str, Any]:
    """The same with these tokens and no others."""
    booking = seen.booking
    package = shown_package(booking.size)
    custom = {"custom": custom_body(booking.size)} if booking.package_name == CUSTOM else {}
    return custom | {
        "id": booking.id,
        "title": booking.title,
        "account": booking.account.name,
        "group": seen.group,
        "pool": {"id": booking.pool.id, "name": booking.pool.name, "timezone": booking.pool.timezone},
        "package": booking.package_name,
        "version": booking.package_version,
        "sharing": booking.sharing.value,
        "notebook": package["notebook"],
        "worker": package["worker"],
        "demand": package["demand"],
        "state": booking.state.value,
        "created_at": stamp(booking.created_at),
        "revision": booking.revision,
        "notebook_url": booking.notebook_url,
        "guests": sorted(guest.name for guest in booking.guests),
        "reservations": [_reservation(row, tokens) for row in booking.reservations],
    }


def _reservation(row: Reservation, tokens: Tokens) -> dict[str, Any]:
    return {
        "id": row.id,
        "start": stamp(row.start),
        "end": stamp(row.end),
        "state": row.state.value,
        "expires_at": stamp(row.expires_at),
        "end_reason": row.end_reason,
        "at_risk": row.at_risk,
        "ends_soon": row.state in LIVE and _ends_soon(row),
        "warned_at": stamp(row.cluster.warned_at) if row.cluster else None,
        "cluster": _cluster(row.cluster, tokens.get(row.id, {})) if row.cluster else None,
    }


def _ends_soon(row: Reservation) -> bool:
    ctx = context()
    return row.end - timedelta(minutes=ctx.settings.warning_minutes) <= ctx.clock.now()


def _cluster(cluster: Cluster, tokens: Mapping[str, str] | None) -> dict[str, Any]:
    detail = cluster.detail
    if tokens is None:
        detail = f"{detail} Its tokens cannot be read at the moment.".strip()
    endpoints = []
    for endpoint in cluster.endpoints:
        token = (tokens or {}).get(endpoint["name"])
        endpoints.append(
            {"name": endpoint["name"], "url": endpoint["url"]} | ({"token": token} if token else {})
        )
    return {
        "state": cluster.phase.value,
        "detail": detail,
        "attempts": cluster.attempts,
        "ready_at": stamp(cluster.ready_at),
        "endpoints": endpoints,
    }


def shown_entry(told: Told) -> dict[str, Any]:
    """An entry of the journal as it is told."""
    return {
        "id": told.entry.id,
        "at": stamp(told.entry.at),
        "account": told.account,
        "action": told.entry.action,
        "subject": told.entry.subject,
        "detail": told.entry.detail,
    }
