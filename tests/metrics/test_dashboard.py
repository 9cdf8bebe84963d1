"""The dashboard and the alarms speak of metrics that exist, and of every one; so does the page that explains them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from booking import metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
SERIES = ("_bucket", "_count", "_sum")


def series() -> dict[str, set[str]]:
    """Every name that a query may use, with its labels."""
    found = {name: set(labels) for name, (_, labels) in metrics.READINGS.items()}
    for family in metrics.REGISTRY.collect():
        labels = set(metrics.REGISTRY._names_to_collectors[family.name]._labelnames)  # type: ignore[attr-defined]
        if family.type == "histogram":
            found |= {family.name + end: labels for end in SERIES}
            found[f"{family.name}_bucket"] = labels | {"le"}
        else:
            found[f"{family.name}_total" if family.type == "counter" else family.name] = labels
    return found


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DOCS / "grafana" / "booking.json").read_text(encoding="utf-8"))
    return loaded


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((DOCS / "grafana" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in rules())


def base(name: str) -> str:
    return next((name.removesuffix(end) for end in SERIES if name.endswith(end)), name)


def parsed(query: str) -> list[promql.Expr]:
    """The parts of a query; Prometheus' own grammar and types are checked by the parser."""
    found: list[promql.Expr] = []
    promql.walk(promql.parse(query.replace("$__rate_interval", "5m")), found.append)
    return found


def names_in(query: str) -> set[str]:
    return {part.name for part in parsed(query) if isinstance(part, promql.VectorSelector) and part.name}


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_a_query_names_what_exists_by_labels_that_it_has(query: str) -> None:
    known, names = series(), names_in(query)
    assert names
    assert names - set(known) == set()
    labels = set.union(*(known[name] for name in names)) | {"instance", "job"}
    for part in parsed(query):
        if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
            assert set(part.modifier.labels) <= labels
        elif isinstance(part, promql.VectorSelector):
            assert {matcher.name for matcher in part.matchers.matchers} <= labels


@pytest.mark.parametrize(
    "query", ["rate(booking_work_due)", "sum by (le (x)", "histogram_quantile(0.9)", "max(x) >"]
)
def test_a_query_that_is_none_would_be_noticed(query: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(query)


def test_every_metric_is_drawn() -> None:
    drawn = {
        base(name)
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
        for name in names_in(target["expr"])
    }
    assert drawn == metrics.names()


def test_every_metric_is_explained() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- metrics: .*? -->\n(.*?)\n<!-- end of metrics -->", text, re.DOTALL)
    assert found
    assert found.group(1) == table()


def table() -> str:
    """The reference of metrics as the guide holds it."""
    rows = {name: (told, labels) for name, (told, labels) in metrics.READINGS.items()}
    for family in metrics.REGISTRY.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = tuple(metrics.REGISTRY._names_to_collectors[family.name]._labelnames)  # type: ignore[attr-defined]
        rows[name] = (family.documentation, labels)
    shown = [
        f"| `{name}` | {', '.join(labels)} | {told.rstrip('.')} |"
        for name, (told, labels) in sorted(rows.items())
    ]
    return "\n".join(["| Metric | Labels | Tells |", "|---|---|---|", *shown])


def test_every_alarm_says_what_it_means_and_how_bad_it_is() -> None:
    found = rules()
    assert len(found) >= 6
    assert len({rule["alert"] for rule in found}) == len(found)
    for rule in found:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} <= set(rule["annotations"])
        assert "for" not in rule or re.fullmatch(r"\d+[mh]", rule["for"])
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in found if rule["alert"] not in page] == []


def test_the_dashboard_can_be_imported() -> None:
    board = dashboard()
    assert {"title", "uid", "schemaVersion", "templating", "panels"} <= set(board)
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job"]
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)
