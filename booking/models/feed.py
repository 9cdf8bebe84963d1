"""The feed of an account: a secret address at which a calendar reads what it has booked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from booking.models.base import Base, Instant


class Feed(Base):
    """The one feed of an account; only the hash of its secret is kept."""

    __tablename__ = "feed"
    __table_args__ = (UniqueConstraint("hash"),)

    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), primary_key=True)
    hash: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    """What a token made ends with the token."""
