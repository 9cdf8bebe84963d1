"""The tables. One import of this package knows them all."""

from booking.models.account import Account, AccountKind, Group, Level, Membership, Role, Token
from booking.models.base import Base
from booking.models.booking import (
    Action,
    Booking,
    Cluster,
    ClusterPhase,
    Guest,
    IdempotencyKey,
    Leadership,
    Reservation,
    Work,
)
from booking.models.journal import Installation, Journal, RateHit
from booking.models.package import Package
from booking.models.pause import Pause, Stray, Verdict
from booking.models.pool import Blackout, Inventory, Ledger, Platform, Pool, Snapshot

__all__ = [
    "Account",
    "AccountKind",
    "Action",
    "Base",
    "Blackout",
    "Booking",
    "Cluster",
    "ClusterPhase",
    "Group",
    "Guest",
    "IdempotencyKey",
    "Installation",
    "Inventory",
    "Journal",
    "Leadership",
    "Ledger",
    "Level",
    "Membership",
    "Package",
    "Pause",
    "Platform",
    "Pool",
    "RateHit",
    "Reservation",
    "Role",
    "Snapshot",
    "Stray",
    "Token",
    "Verdict",
    "Work",
]
