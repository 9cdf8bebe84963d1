"""Packages: named, versioned, immutable sizes of a notebook and its workers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from booking.allocator.resources import Resources

CUSTOM = "custom"
"""The package whose four numbers come with the request."""


class Sharing(StrEnum):
    """How a booking uses the pool."""

    SHARED = "shared"
    """People share the same resources: the demand counts divided by the pool's share ratio."""
    RESERVED = "reserved"
    """Your own for the span: the demand counts in full."""
    CUSTOM = "custom"
    """Named platform or hardware; counts in full."""


@dataclass(frozen=True, slots=True)
class Size:
    """Whole cores and MiB of memory of one notebook or one worker."""

    cores: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Package:
    """A version of a package; a booking copies it, so that history never changes."""

    name: str
    version: int
    notebook: Size
    worker: Size
    worker_count: int = 1
    lead_time: timedelta = timedelta(0)
    """How long before its start a cluster begins to be made; data may have to be staged first."""

    @property
    def demand(self) -> Resources:
        """What one such cluster takes: notebook + worker x count."""
        return Resources(
            self.notebook.cores + self.worker.cores * self.worker_count,
            self.notebook.memory_mib + self.worker.memory_mib * self.worker_count,
        )
