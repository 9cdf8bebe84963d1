"""Platforms, pools, and what a pool physically owns."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.allocator.cells import Granularity
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.allocator.timeline import ShareRatio
from booking.models.base import Base, Choice, Instant, Minute, one_of


class Platform(Base):
    """The cloud or machine where pools live."""

    __tablename__ = "platform"
    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("lead_minutes >= 0", name="lead_not_negative"),
        CheckConstraint("teardown_seconds >= 0", name="teardown_not_negative"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    traits: Mapped[list[str]] = mapped_column(JSON, default=list)
    provisioner: Mapped[str | None]
    """What makes clusters there; None is what makes them for the whole installation."""
    settings: Mapped[dict[str, Any] | None] = mapped_column(JSON, deferred=True)
    """How its adapters are set up; secrets stay outside the database."""
    pledges: Mapped[bool | None]
    """Whether it sets aside by itself what is promised here."""
    may_change_pledges: Mapped[bool | None]
    """Whether what it set aside can be changed; otherwise it can only be given back."""
    lead_minutes: Mapped[int | None]
    """How long before the start clusters there begin to be made at least; None is the installation's."""
    teardown_seconds: Mapped[int | None]
    """How long before the end clusters there begin to end; None is the installation's."""
    stranger_level: Mapped[int | None] = mapped_column(deferred=True)
    """The level whose limits bind strangers there, each owner by itself; None: there only has to be room."""
    fault: Mapped[str | None] = mapped_column(deferred=True)
    """Why it does not answer as it should, as last seen."""
    fault_since: Mapped[datetime | None] = mapped_column(Instant, deferred=True)


class Amounts:
    """Whole, non-negative amounts of each kind; mixed into the rows that carry resources."""

    cores: Mapped[int] = mapped_column(BigInteger, default=0)
    memory_mib: Mapped[int] = mapped_column(BigInteger, default=0)
    gpus: Mapped[int] = mapped_column(BigInteger, default=0)
    disk_gib: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def resources(self) -> Resources:
        return Resources(self.cores, self.memory_mib, self.gpus, self.disk_gib)


NOT_NEGATIVE = "cores >= 0 AND memory_mib >= 0 AND gpus >= 0 AND disk_gib >= 0"


class Pool(Base, Amounts):
    """A body of interchangeable resources; its own amounts are the standing reservation for level 0.

    `generation` advances by one for every committed change of its timelines; `epoch` differs between a
    database and its restored older self.
    """

    __tablename__ = "pool"
    __table_args__ = (
        UniqueConstraint("name"),
        one_of("granularity", Granularity),
        CheckConstraint("share_ratio_milli >= 1000", name="share_ratio_at_least_one"),
        CheckConstraint("generation >= 0", name="generation_not_negative"),
        CheckConstraint(NOT_NEGATIVE, name="amounts_not_negative"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    platform_id: Mapped[str] = mapped_column(ForeignKey("platform.id"))
    name: Mapped[str]
    traits: Mapped[list[str]] = mapped_column(JSON, default=list)
    timezone: Mapped[str]
    granularity: Mapped[Granularity] = mapped_column(Choice(Granularity))
    share_ratio_milli: Mapped[int] = mapped_column(BigInteger, default=1000)
    generation: Mapped[int] = mapped_column(BigInteger, default=0)
    epoch: Mapped[str]
    hold_expires_at: Mapped[datetime | None] = mapped_column(Instant)
    """The earliest expiry of the holds in this pool; a reader past it lets them expire first."""
    created_at: Mapped[datetime] = mapped_column(Instant)
    closed_reason: Mapped[str | None]
    """What the audit found wrong; while it says something, nothing new is promised here."""

    platform: Mapped[Platform] = relationship(lazy="joined")

    # Every change of the row demands the generation that was read: even without the lock, the database
    # refuses the second of two promises that were decided on one state.
    __mapper_args__ = {"version_id_col": generation, "version_id_generator": False}  # noqa: RUF012

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def ratio(self) -> ShareRatio:
        return ShareRatio(self.share_ratio_milli)


class Inventory(Base, Amounts):
    """A dated amount that a pool physically owns, with a reason."""

    __tablename__ = "inventory"
    __table_args__ = (
        CheckConstraint('start < "end"', name="start_before_end"),
        CheckConstraint(NOT_NEGATIVE, name="amounts_not_negative"),
        Index(None, "pool_id", "end"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"))
    start: Mapped[datetime] = mapped_column(Minute)
    end: Mapped[datetime] = mapped_column(Minute)
    reason: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(Instant)

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class Blackout(Base, Amounts):
    """A dated amount withdrawn from a pool, with a reason."""

    __tablename__ = "blackout"
    __table_args__ = (
        CheckConstraint('start < "end"', name="start_before_end"),
        CheckConstraint(NOT_NEGATIVE, name="amounts_not_negative"),
        Index(None, "pool_id", "end"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"))
    start: Mapped[datetime] = mapped_column(Minute)
    end: Mapped[datetime] = mapped_column(Minute)
    reason: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(Instant)

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


class Ledger(Base):
    """One signed change of one kind on one side; appended in the transaction of its cause, never updated.

    The sum of the ledger is the timeline. Start and end are minutes since the Unix epoch.
    """

    __tablename__ = "ledger"
    __table_args__ = (
        CheckConstraint('start < "end"', name="start_before_end"),
        CheckConstraint("side IN ('physical', 'reserved', 'shared', 'level0')", name="side_known"),
        CheckConstraint("kind IN ('cores', 'memory_mib', 'gpus', 'disk_gib')", name="kind_known"),
        CheckConstraint("amount <> 0", name="amount_not_zero"),
    )

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    side: Mapped[str]
    start: Mapped[int] = mapped_column(BigInteger)
    end: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)


class Snapshot(Base):
    """The timeline of a pool at one generation, packed; it may be thrown away at any time."""

    __tablename__ = "snapshot"

    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    epoch: Mapped[str]
    """Of the pool when it was taken; in a restored database it is void."""
    generation: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[datetime] = mapped_column(Minute)
    """The end of its window."""
    data: Mapped[bytes]


def as_amounts(resources: Resources) -> dict[str, Any]:
    """The columns of :class:`Amounts` for a vector."""
    return dict(resources.amounts())
