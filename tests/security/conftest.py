"""A world for each test, and one that several may look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.world import World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A site with one of everything, and somebody of every role."""
    with open_world(tmp_path) as opened:
        yield opened
