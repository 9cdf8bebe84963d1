"""The pause of the scheduler, and what an administrator said about clusters that no row knows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from booking.models.base import Base, Choice, Instant, one_of


class Pause(Base):
    """The one row that says that the scheduler makes and ends nothing, until somebody lets it go on."""

    __tablename__ = "pause"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str]
    paused_at: Mapped[datetime] = mapped_column(Instant)


class Verdict(StrEnum):
    """What shall become of a stray."""

    END = "end"
    KEEP = "keep"
    """It is left alone until it ends by itself."""


class Stray(Base):
    """A cluster outside that no reservation of this database knows, and what was said about it."""

    __tablename__ = "stray"
    __table_args__ = (one_of("verdict", Verdict),)

    reservation_id: Mapped[str] = mapped_column(primary_key=True)
    """Of a reservation that is not here."""
    verdict: Mapped[Verdict] = mapped_column(Choice(Verdict))
    judged_at: Mapped[datetime] = mapped_column(Instant)
