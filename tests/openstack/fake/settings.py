"""How a test comes to a fake cloud: it runs as long as the test, and clouds.yaml is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.dates import Clock


@contextmanager
def running(clock: Clock, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    with FakeCloud(clock) as cloud:
        path = cloud.write_clouds(folder / "clouds.yaml")
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
        yield cloud
