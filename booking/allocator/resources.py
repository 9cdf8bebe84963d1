"""Resources: a vector of whole amounts, one for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Resources:
    """Whole cores, MiB of memory, GPUs and GiB of disk.

    Amounts are not negative in what people enter; a difference of two vectors may be.
    """

    cores: int = 0
    memory_mib: int = 0
    gpus: int = 0
    disk_gib: int = 0

    @classmethod
    def of(cls, amounts: Mapping[str, int]) -> Self:
        """The vector of a mapping by kind; a kind left out is zero.

        :raises ValueError: if a kind is unknown.
        """
        unknown = set(amounts) - set(KINDS)
        if unknown:
            raise ValueError(f"unknown kind of resource: {', '.join(sorted(unknown))}")
        return cls(**amounts)

    def vector(self) -> tuple[int, ...]:
        """The amounts in the order of :data:`KINDS`."""
        return self.cores, self.memory_mib, self.gpus, self.disk_gib

    def amounts(self) -> dict[str, int]:
        """Every kind with its amount, zero included."""
        return dict(zip(KINDS, self.vector(), strict=True))

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(a + b for a, b in zip(self.vector(), other.vector(), strict=True)))

    def __sub__(self, other: Resources) -> Resources:
        return Resources(*(a - b for a, b in zip(self.vector(), other.vector(), strict=True)))

    def __mul__(self, factor: int) -> Resources:
        return Resources(*(a * factor for a in self.vector()))

    def fits_in(self, other: Resources) -> bool:
        """Whether no kind asks for more than `other` has of it."""
        return all(a <= b for a, b in zip(self.vector(), other.vector(), strict=True))


KINDS: tuple[str, ...] = tuple(field.name for field in fields(Resources))
"""The order of every array that is indexed by kind."""
