"""Every class of weakness is shut, and would be seen if it were open."""

from __future__ import annotations

import pytest

from tests.security.access_classes import CLASSES as OF_ACCESS
from tests.security.classes import Weakness
from tests.security.door_classes import CLASSES as OF_DOORS
from tests.security.world import World

CLASSES = sorted((*OF_ACCESS, *OF_DOORS), key=lambda weakness: weakness.number)


def test_every_class_has_its_test() -> None:
    assert [weakness.number for weakness in CLASSES] == list(range(1, 22))


@pytest.mark.parametrize("weakness", CLASSES, ids=str)
def test_it_is_shut(world: World, weakness: Weakness) -> None:
    assert weakness.probe(world) == []


@pytest.mark.parametrize("weakness", CLASSES, ids=str)
def test_it_would_be_seen(world: World, weakness: Weakness) -> None:
    with weakness.flaw(world):
        assert weakness.probe(world) != []
