"""A site behind its API, as the tests of the API have it."""

from __future__ import annotations

from tests.api.conftest import app as app
from tests.api.conftest import ids as ids
from tests.api.conftest import site as site
