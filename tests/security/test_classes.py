"""Every class of weakness is shut, and would be seen if it were open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.access_classes import CLASSES as OF_ACCESS
from tests.security.classes import Weakness
from tests.security.door_classes import CLASSES as OF_DOORS
from tests.security.world import World, open_world

CLASSES = sorted((*OF_ACCESS, *OF_DOORS), key=lambda weakness: weakness.number)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("classes")) as opened:
        opened.keep("start")
        yield opened


@pytest.fixture
def world(kept: World) -> Iterator[World]:
    """One for all classes, put back after each."""
    yield kept
    kept.put_back("start")


def test_every_class_has_its_test() -> None:
    assert [weakness.number for weakness in CLASSES] == list(range(1, 22))


@pytest.mark.parametrize("weakness", CLASSES, ids=str)
def test_it_is_shut(world: World, weakness: Weakness) -> None:
    assert weakness.probe(world) == []


@pytest.mark.parametrize("weakness", CLASSES, ids=str)
def test_it_would_be_seen(world: World, weakness: Weakness) -> None:
    with weakness.flaw(world):
        assert weakness.probe(world) != []
