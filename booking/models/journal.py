"""The journal of who did what and why; rate limits; the installation itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from booking.models.base import Base, Instant


class Journal(Base):
    """One act; appended in its transaction, never changed. `subject` is `noun:id`."""

    __tablename__ = "journal"
    __table_args__ = (Index(None, "subject", "at"), Index(None, "account_id", "at"), Index(None, "at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("account.id"))
    """Empty where the service itself acted."""
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class RateHit(Base):
    """How often a rate-limited key was hit in its current window."""

    __tablename__ = "rate_hit"
    __table_args__ = (Index(None, "expires_at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    hits: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class Installation(Base):
    """The one row that says the first set-up is complete; it is written last."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    installed_at: Mapped[datetime] = mapped_column(Instant)
