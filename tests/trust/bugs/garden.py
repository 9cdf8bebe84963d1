"""All planted bugs: importing the files that hold them registers them."""

from __future__ import annotations

from tests.trust.bugs import counting, making, promising
from tests.trust.bugs.planting import BUGS

FILES = (promising, counting, making)

__all__ = ["BUGS", "FILES"]
