"""What one proof of trust is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Scale(StrEnum):
    """How much of a proof is run."""

    QUICK = "quick"
    """Seconds: a part of the test suite."""
    SHORT = "short"
    """All proofs together within half an hour on two cores."""
    FULL = "full"
    """Hours: the figures that are published."""


@dataclass(frozen=True)
class Figure:
    """One measured number, with the bar it is held to."""

    name: str
    value: int | float | str
    bar: str = ""
    """What it must be, in words; empty where nothing is demanded."""
    ok: bool = True


@dataclass
class Finding:
    """What a proof showed: its figures, and sentences about what was wrong."""

    figures: list[Figure] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What a reader must know to weigh the figures: what was shortened, left out, or cannot be shown here."""

    def show(self, name: str, value: float | str, bar: str = "", ok: bool = True) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, value, bar, ok))

    def zero(self, name: str, value: int) -> None:
        """Add a figure that must be 0."""
        self.show(name, value, "0", value == 0)

    @property
    def ok(self) -> bool:
        return not self.faults and all(figure.ok for figure in self.figures)


Prove = Callable[[Scale, int], Finding]
"""A proof: how much of it, and the seed of everything that it draws."""
