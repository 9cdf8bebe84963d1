"""All planted bugs: importing the files that hold them registers them."""

from __future__ import annotations

from tests.trust.bugs import counting, edges, locking, making, promising, slips, waiting
from tests.trust.bugs.planting import BUGS

FILES = (promising, counting, making, locking, edges, slips, waiting)

__all__ = ["BUGS", "FILES"]
