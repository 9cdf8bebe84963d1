"""Bookings and their reservations; clusters; the work that is due for them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.allocator.lifecycle import State, booking_state
from booking.allocator.package import Package, Sharing
from booking.allocator.span import Span
from booking.allocator.timeline import Side
from booking.models.account import Account, Group
from booking.models.base import Base, Choice, Instant, Minute, one_of
from booking.models.package import POSITIVE, Sizes
from booking.models.pool import Pool


class Booking(Base, Sizes):
    """What an account asked for and was promised: a copy of a package over one or more spans."""

    __tablename__ = "booking"
    __table_args__ = (
        one_of("sharing", Sharing),
        one_of("side", Side),
        CheckConstraint(POSITIVE, name="sizes_positive"),
        CheckConstraint("revision >= 1", name="revision_positive"),
        Index(None, "account_id", "created_at"),
        Index(None, "created_at", "id"),
        Index(None, "group_id"),
        Index(None, "pool_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    group_id: Mapped[str | None] = mapped_column(ForeignKey("account_group.id"))
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"))
    package_name: Mapped[str]
    package_version: Mapped[int]
    sharing: Mapped[Sharing] = mapped_column(Choice(Sharing))
    side: Mapped[Side] = mapped_column(Choice(Side))
    """The side of the ledger that its demand is on."""
    title: Mapped[str] = mapped_column(default="")
    notebook_url: Mapped[str | None]
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    created_at: Mapped[datetime] = mapped_column(Instant)

    account: Mapped[Account] = relationship(lazy="joined")
    group: Mapped[Group | None] = relationship()
    pool: Mapped[Pool] = relationship(lazy="joined")
    reservations: Mapped[list[Reservation]] = relationship(
        back_populates="booking", order_by="Reservation.start", lazy="selectin"
    )
    guests: Mapped[list[Account]] = relationship(secondary="booking_guest", lazy="selectin")

    @property
    def size(self) -> Package:
        return self.sized(self.package_name, self.package_version)

    @property
    def state(self) -> State:
        return booking_state(reservation.state for reservation in self.reservations)


class Guest(Base):
    """That a booking is shared with a named person."""

    __tablename__ = "booking_guest"
    __table_args__ = (Index(None, "account_id"),)

    booking_id: Mapped[str] = mapped_column(ForeignKey("booking.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), primary_key=True)


class Reservation(Base):
    """One span of a booking: the claim that reserved(t) sums."""

    __tablename__ = "reservation"
    __table_args__ = (
        one_of("state", State),
        one_of("outcome", State),
        CheckConstraint('start < "end"', name="start_before_end"),
        CheckConstraint("(state = 'held') = (expires_at IS NOT NULL)", name="only_holds_expire"),
        CheckConstraint("revision >= 1", name="revision_positive"),
        Index(None, "booking_id"),
        Index(None, "pool_id", "state", "end"),
        Index(None, "state", "expires_at"),
        Index(None, "end", "start"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    booking_id: Mapped[str] = mapped_column(ForeignKey("booking.id"))
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"))
    start: Mapped[datetime] = mapped_column(Minute)
    end: Mapped[datetime] = mapped_column(Minute)
    state: Mapped[State] = mapped_column(Choice(State))
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    """Until when a hold counts."""
    end_reason: Mapped[str] = mapped_column(default="")
    outcome: Mapped[State | None] = mapped_column(Choice(State))
    """What its ending leads to, once the cluster is gone: ended, cancelled or failed."""
    at_risk: Mapped[bool] = mapped_column(default=False)
    """Capacity was cut so that this reservation no longer fits."""
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    """Advances with the span, so that due work of an older span is void."""

    booking: Mapped[Booking] = relationship(back_populates="reservations")
    cluster: Mapped[Cluster | None] = relationship(back_populates="reservation", lazy="selectin")

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class ClusterPhase(StrEnum):
    """What we know of a cluster; the row is written before anything is made outside."""

    WANTED = "wanted"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    GONE = "gone"
    FAILED = "failed"


class Cluster(Base):
    """What is provisioned for one reservation; its outside name derives from the reservation's id."""

    __tablename__ = "cluster"
    __table_args__ = (
        one_of("phase", ClusterPhase),
        CheckConstraint("attempts >= 0", name="attempts_not_negative"),
        Index(None, "phase", "look_at"),
    )

    reservation_id: Mapped[str] = mapped_column(ForeignKey("reservation.id"), primary_key=True)
    provisioner: Mapped[str]
    platform_id: Mapped[str | None] = mapped_column(ForeignKey("platform.id"))
    """Where it is made; None is where the installation makes clusters that no platform makes by itself."""
    phase: Mapped[ClusterPhase] = mapped_column(Choice(ClusterPhase))
    detail: Mapped[str] = mapped_column(default="")
    """One plain sentence for the owner."""
    attempts: Mapped[int] = mapped_column(default=0)
    endpoints: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    """Names and URLs; secrets stay outside the database."""
    changed_at: Mapped[datetime] = mapped_column(Instant)
    look_at: Mapped[datetime] = mapped_column(Instant)
    """When to look at it next; later and later while the outside fails."""
    absent_at: Mapped[datetime | None] = mapped_column(Instant)
    """When the outside first showed nothing; gone is said at the second look."""
    ready_at: Mapped[datetime | None] = mapped_column(Instant)
    warned_at: Mapped[datetime | None] = mapped_column(Instant)

    reservation: Mapped[Reservation] = relationship(back_populates="cluster")


class Action(StrEnum):
    """What is due for a reservation."""

    EXPIRE = "expire"
    PROVISION = "provision"
    EXTEND = "extend"
    """Tell the cluster its new end."""
    WARN = "warn"
    END = "end"


class Work(Base):
    """One act that is due; written in the transaction of its cause, done at least once."""

    __tablename__ = "work"
    __table_args__ = (
        one_of("action", Action),
        UniqueConstraint("reservation_id", "action", "revision"),
        CheckConstraint("attempts >= 0", name="attempts_not_negative"),
        Index(None, "done_at", "due_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    reservation_id: Mapped[str] = mapped_column(ForeignKey("reservation.id"))
    action: Mapped[Action] = mapped_column(Choice(Action))
    revision: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime] = mapped_column(Instant)
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None] = mapped_column(Instant)
    detail: Mapped[str] = mapped_column(default="")


class Leadership(Base):
    """Who runs the scheduler, until when; `epoch` fences everybody who led before."""

    __tablename__ = "leadership"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    until: Mapped[datetime] = mapped_column(Instant)
    epoch: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[datetime] = mapped_column(Instant)


class IdempotencyKey(Base):
    """That a key was used, with which body, and the answer that was given; kept for 24 hours."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index(None, "created_at"),)

    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]
    booking_id: Mapped[str] = mapped_column(ForeignKey("booking.id"))
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Instant)
