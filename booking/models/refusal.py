"""Demand that was refused."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from booking.allocator.package import Sharing
from booking.models.base import Base, Choice, Instant, Minute, one_of


class Refusal(Base):
    """That an account was refused a booking, as often as it asked for the same within one hour.

    It refers to account and pool by their ids alone: for a foreign key PostgreSQL would wait for their locks,
    under which others are promised something.
    """

    __tablename__ = "refusal"
    __table_args__ = (
        UniqueConstraint("account_id", "pool_id", "start", "package_name", "hour"),
        one_of("sharing", Sharing),
        CheckConstraint('start < "end"', name="start_before_end"),
        CheckConstraint("core_minutes >= 0", name="core_minutes_not_negative"),
        CheckConstraint("times >= 1", name="times_positive"),
        Index(None, "pool_id", "start"),
        Index(None, "hour", "account_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str]
    pool_id: Mapped[str]
    package_name: Mapped[str]
    sharing: Mapped[Sharing] = mapped_column(Choice(Sharing))
    code: Mapped[str]
    """Of the error that said no, at first."""
    at: Mapped[datetime] = mapped_column(Instant)
    """When it was refused at first."""
    hour: Mapped[datetime] = mapped_column(Minute)
    """The beginning of that hour, in UTC."""
    start: Mapped[datetime] = mapped_column(Minute)
    """Of the first span that was asked for."""
    end: Mapped[datetime] = mapped_column(Minute)
    """Of the last one."""
    core_minutes: Mapped[int] = mapped_column(BigInteger)
    """The most that was asked for at once: cores × minutes over all spans."""
    times: Mapped[int] = mapped_column(BigInteger)
