"""What the metrics say, as numbers."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import REGISTRY as FOREIGN
from prometheus_client.parser import text_string_to_metric_families

from booking.metrics import REGISTRY

Told = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def counted(name: str, **labels: str) -> float:
    """The present value in this process; 0 for what was never counted."""
    assert FOREIGN is not REGISTRY
    return REGISTRY.get_sample_value(name, labels) or 0.0


def parsed(text: str) -> Told:
    """A page of metrics, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def told(page: Told, name: str, **labels: str) -> float | None:
    """One value of a page; None where it is not told."""
    return page.get((name, frozenset(labels.items())))
