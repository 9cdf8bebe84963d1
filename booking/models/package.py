"""Versions of packages; a row never changes but for the day it is retired."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from booking.allocator.package import Package as Sized
from booking.allocator.package import Size
from booking.models.base import Base, Instant

POSITIVE = (
    "notebook_cores >= 1 AND notebook_memory_mib >= 1 AND worker_cores >= 0 "
    "AND worker_memory_mib >= 0 AND worker_count >= 0"
)


class Sizes:
    """The numbers of a package, in whole cores and MiB; a booking copies them."""

    notebook_cores: Mapped[int] = mapped_column(BigInteger)
    notebook_memory_mib: Mapped[int] = mapped_column(BigInteger)
    worker_cores: Mapped[int] = mapped_column(BigInteger)
    worker_memory_mib: Mapped[int] = mapped_column(BigInteger)
    worker_count: Mapped[int] = mapped_column(BigInteger, default=1)
    lead_minutes: Mapped[int] = mapped_column(BigInteger, default=0)

    def sized(self, name: str, version: int) -> Sized:
        """The package with these numbers, as the allocator knows it."""
        return Sized(
            name,
            version,
            Size(self.notebook_cores, self.notebook_memory_mib),
            Size(self.worker_cores, self.worker_memory_mib),
            self.worker_count,
            timedelta(minutes=self.lead_minutes),
        )


def as_sizes(size: Sized) -> dict[str, Any]:
    """The columns of :class:`Sizes` for a package."""
    return {
        "notebook_cores": size.notebook.cores,
        "notebook_memory_mib": size.notebook.memory_mib,
        "worker_cores": size.worker.cores,
        "worker_memory_mib": size.worker.memory_mib,
        "worker_count": size.worker_count,
        "lead_minutes": size.lead_time // timedelta(minutes=1),
    }


class Package(Base, Sizes):
    """A named, versioned, immutable size."""

    __tablename__ = "package"
    __table_args__ = (
        UniqueConstraint("name", "version"),
        CheckConstraint("version >= 1", name="version_positive"),
        CheckConstraint(POSITIVE, name="sizes_positive"),
        CheckConstraint("lead_minutes >= 0", name="lead_not_negative"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(Instant)
    retired_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def size(self) -> Sized:
        return self.sized(self.name, self.version)
