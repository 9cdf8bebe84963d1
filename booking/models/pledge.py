"""What platforms have set aside for reservations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.models.base import Base, Choice, Instant, one_of
from booking.models.booking import Reservation


class PledgePhase(StrEnum):
    """What we know of a pledge; the row is written before the platform is asked."""

    WANTED = "wanted"
    REFUSED = "refused"
    """The platform has too little; it is asked again."""
    PENDING = "pending"
    ACTIVE = "active"
    BROKEN = "broken"
    """The platform says that it cannot keep it, while a cluster stands on it."""
    RELEASED = "released"


AT_RISK = (PledgePhase.REFUSED, PledgePhase.BROKEN)
"""The phases in which a promise of ours is not backed by the platform."""


class Pledge(Base):
    """What the platform of a pool has set aside for one reservation."""

    __tablename__ = "pledge"
    __table_args__ = (
        one_of("phase", PledgePhase),
        CheckConstraint("attempts >= 0", name="attempts_not_negative"),
        CheckConstraint("revision >= 1", name="revision_positive"),
        Index(None, "platform_id", "phase", "look_at"),
    )

    reservation_id: Mapped[str] = mapped_column(ForeignKey("reservation.id"), primary_key=True)
    platform_id: Mapped[str] = mapped_column(ForeignKey("platform.id"))
    phase: Mapped[PledgePhase] = mapped_column(Choice(PledgePhase))
    revision: Mapped[int] = mapped_column(BigInteger)
    """Of the reservation for which the platform was asked last."""
    reference: Mapped[str] = mapped_column(default="")
    binding: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    """How a cluster is placed in it, once that is known."""
    detail: Mapped[str] = mapped_column(default="")
    """One plain sentence for administrators."""
    attempts: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(Instant)
    look_at: Mapped[datetime] = mapped_column(Instant)
    """When the platform is asked again; later and later while it refuses."""

    reservation: Mapped[Reservation] = relationship()
