"""Spans that were asked for, did not fit, and wait."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.span import Span
from booking.allocator.waitlist import WantedState
from booking.models.account import Account, Group
from booking.models.base import Base, Choice, Instant, Minute, one_of
from booking.models.package import POSITIVE, Sizes
from booking.models.pool import Pool


class Wanted(Base, Sizes):
    """One span that an account asked for and could not have; it is offered when it becomes free.

    Its sizes are those of the package when it was asked for. What is offered is the package as it then is.
    """

    __tablename__ = "wanted"
    __table_args__ = (
        one_of("sharing", Sharing),
        one_of("state", WantedState),
        CheckConstraint('start < "end"', name="start_before_end"),
        CheckConstraint(POSITIVE, name="sizes_positive"),
        CheckConstraint("(state = 'offered') = (offered_until IS NOT NULL)", name="only_offers_expire"),
        CheckConstraint(
            "state NOT IN ('offered', 'taken') OR booking_id IS NOT NULL", name="offers_are_held"
        ),
        CheckConstraint("lapses >= 0", name="lapses_not_negative"),
        Index(None, "pool_id", "state", "joined_at"),
        Index(None, "account_id", "created_at"),
        Index(None, "created_at", "id"),
        Index(None, "booking_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    group_id: Mapped[str | None] = mapped_column(ForeignKey("account_group.id"))
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"))
    package_name: Mapped[str]
    package_version: Mapped[int]
    sharing: Mapped[Sharing] = mapped_column(Choice(Sharing))
    start: Mapped[datetime] = mapped_column(Minute)
    end: Mapped[datetime] = mapped_column(Minute)
    title: Mapped[str] = mapped_column(default="")
    notebook_url: Mapped[str | None]
    state: Mapped[WantedState] = mapped_column(Choice(WantedState))
    end_reason: Mapped[str] = mapped_column(default="")
    """Why it is gone."""
    created_at: Mapped[datetime] = mapped_column(Instant)
    joined_at: Mapped[datetime] = mapped_column(Instant)
    """Its place in the line; a lapsed offer sends it to the end."""
    lapses: Mapped[int] = mapped_column(default=0)
    """How many of its offers have lapsed."""
    booking_id: Mapped[str | None] = mapped_column(ForeignKey("booking.id"))
    """The hold that is its offer, or the booking that it became."""
    offered_until: Mapped[datetime | None] = mapped_column(Instant)

    account: Mapped[Account] = relationship()
    group: Mapped[Group | None] = relationship()
    pool: Mapped[Pool] = relationship()

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    @property
    def size(self) -> Package:
        return self.sized(self.package_name, self.package_version)

    @property
    def custom(self) -> Package | None:
        """The sizes of a custom package."""
        return self.size if self.package_name == CUSTOM else None
