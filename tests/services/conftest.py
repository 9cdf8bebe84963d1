"""A site over each kind of database."""

from __future__ import annotations

import pytest

from booking.doors import Doors
from tests.support.site import Site, make_site


@pytest.fixture
def site(doors: Doors) -> Site:
    return make_site(doors)
