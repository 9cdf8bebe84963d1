"""What platforms were seen to have: their hosts, and what others have reserved on them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from booking.allocator.span import Span
from booking.models.base import Base, Instant, Minute
from booking.models.pool import NOT_NEGATIVE, Amounts


class Host(Base, Amounts):
    """A machine as its platform told it last, and the rows by which a pool counts on it."""

    __tablename__ = "host"
    __table_args__ = (
        UniqueConstraint("platform_id", "name"),
        CheckConstraint(NOT_NEGATIVE, name="amounts_not_negative"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    platform_id: Mapped[str] = mapped_column(ForeignKey("platform.id"))
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"))
    name: Mapped[str]
    is_up: Mapped[bool]
    detail: Mapped[str] = mapped_column(default="")
    """Why it is not up."""
    inventory_id: Mapped[str]
    """The row that owns it; one that somebody removed is made again."""
    blackout_id: Mapped[str | None]
    """The row that withdraws it while it is not up."""
    changed_at: Mapped[datetime] = mapped_column(Instant)


class Stranger(Base, Amounts):
    """What somebody else has reserved on a platform; it counts as reserved in the pool."""

    __tablename__ = "stranger"
    __table_args__ = (
        UniqueConstraint("platform_id", "reference"),
        CheckConstraint('start < "end"', name="start_before_end"),
        CheckConstraint(NOT_NEGATIVE, name="amounts_not_negative"),
        Index(None, "pool_id", "end"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    platform_id: Mapped[str] = mapped_column(ForeignKey("platform.id"))
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"))
    reference: Mapped[str]
    """Its id in the platform's own words; while it is only inquired about, a name of our own."""
    start: Mapped[datetime] = mapped_column(Minute)
    end: Mapped[datetime] = mapped_column(Minute)
    owner: Mapped[str | None]
    """Whose it is, in the platform's own words."""
    name: Mapped[str | None]
    """As its owner called it."""
    inquired_at: Mapped[datetime | None] = mapped_column(Instant)
    """When the platform asked for it; None once it was read there."""
    grows: Mapped[str | None]
    """The reference of the one that would become larger by this."""

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)
