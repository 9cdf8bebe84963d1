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
from booking.models.feed import Feed
from booking.models.journal import Installation, Journal, RateHit
from booking.models.package import Package
from booking.models.pause import Pause, Stray, Verdict
from booking.models.pledge import Pledge, PledgePhase
from booking.models.pool import Blackout, Inventory, Ledger, Platform, Pool, Snapshot
from booking.models.refusal import Refusal
from booking.models.stock import Host, Stranger
from booking.models.template import Template
from booking.models.wanted import Wanted

__all__ = [
    "Account",
    "AccountKind",
    "Action",
    "Base",
    "Blackout",
    "Booking",
    "Cluster",
    "ClusterPhase",
    "Feed",
    "Group",
    "Guest",
    "Host",
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
    "Pledge",
    "PledgePhase",
    "Pool",
    "RateHit",
    "Refusal",
    "Reservation",
    "Role",
    "Snapshot",
    "Stranger",
    "Stray",
    "Template",
    "Token",
    "Verdict",
    "Wanted",
    "Work",
]
