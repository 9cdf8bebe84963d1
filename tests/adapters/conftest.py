"""A cloud for a test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.settings import running
from tests.support.doors import TestClock


@pytest.fixture
def cloud(clock: TestClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    """A fake cloud of this test, which moves by its clock; clouds.yaml names it."""
    with running(clock, tmp_path, monkeypatch) as cloud:
        yield cloud
