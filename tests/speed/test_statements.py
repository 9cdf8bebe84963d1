"""No page and no list sends more statements because there is more in it; each has its number, which only shrinks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.speed.asking import Asking, Crowded, askings, crowded
from tests.speed.crowd import Size

RECORD = Path(__file__).with_name("statements.json")
FEW, MANY = (
    Size(accounts=5, bookings=36, pools=3, own=3),
    Size(accounts=300, bookings=1200, pools=30, own=300),
)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[list[Crowded]]:
    """The same application over three and over three hundred of everything."""
    with ExitStack() as stack:
        found = []
        for name, size in (("few", FEW), ("many", MANY)):
            folder = tmp_path_factory.mktemp(name)
            shutil.copyfile(_sqlite_template, folder / "site.db")
            found.append(stack.enter_context(crowded(f"sqlite:///{folder / 'site.db'}", folder, size)))
        yield found


@pytest.fixture(scope="module")
def known() -> dict[str, int]:
    """How many statements each took when it was looked at last."""
    found: dict[str, int] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("asking", askings(), ids=str)
def test_more_rows_need_no_more_statements(
    asking: Asking, sites: list[Crowded], known: dict[str, int]
) -> None:
    few, many = (site.statements(asking.path) for site in sites)
    assert len(few) == len(many), "\n\n".join(statement.text for statement in many)
    assert asking.name in known, f"{asking.name} takes {len(many)} statements: write that into {RECORD.name}"
    assert len(many) <= known[asking.name], "\n\n".join(statement.text for statement in many)
    assert len(many) == known[asking.name], f"it takes {len(many)} only: write that into {RECORD.name}"


def test_the_record_tells_of_nothing_that_is_gone(known: dict[str, int]) -> None:
    assert set(known) == {asking.name for asking in askings()}


def test_who_asks_is_known_by_one_statement(sites: list[Crowded]) -> None:
    nobody, somebody = (sites[0].statements("/api/v1/packages", who) for who in (None, "ada"))
    assert len(somebody) == len(nobody) + 1


def test_what_has_not_changed_is_told_by_one_statement(sites: list[Crowded]) -> None:
    site = sites[0]
    path = "/api/v1/availability?from=2030-01-08&to=2030-03-19&pool=pool-001"
    tag = site.ask(path, None).headers["ETag"]
    site.sent.clear()
    answer = site.app.test_client().get(path, headers={"If-None-Match": tag})
    assert (answer.status_code, len(site.sent)) == (304, 1)
    assert answer.data == b""


def test_a_statement_for_each_row_is_seen(sites: list[Crowded]) -> None:
    def statements(site: Crowded) -> int:
        site.sent.clear()
        names = site.ask("/api/v1/accounts?limit=100").get_json()["items"]
        for account in names:
            site.ask(f"/api/v1/accounts/{account['id']}")
        return len(site.sent)

    assert statements(sites[1]) > statements(sites[0])
