"""Templates: cards on the landing page, each of which books and opens a notebook in one act."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.allocator.package import Sharing
from booking.models.base import Base, Choice, Instant, one_of
from booking.models.pool import Pool


class Template(Base):
    """What a click on its card books: so long of a package, with a notebook to open."""

    __tablename__ = "template"
    __table_args__ = (
        one_of("sharing", Sharing),
        CheckConstraint("minutes >= 1", name="minutes_positive"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    text: Mapped[str]
    notebook_url: Mapped[str | None]
    package_name: Mapped[str]
    """Its current version is booked; one that is retired is offered no more."""
    minutes: Mapped[int] = mapped_column(BigInteger)
    pool_id: Mapped[str | None] = mapped_column(ForeignKey("pool.id"))
    """Empty means the first pool, whichever that is."""
    sharing: Mapped[Sharing] = mapped_column(Choice(Sharing))
    position: Mapped[int] = mapped_column(BigInteger)
    """Cards stand in this order, those of the same position by title."""
    shown: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Instant)

    pool: Mapped[Pool | None] = relationship(lazy="joined")

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=self.minutes)
