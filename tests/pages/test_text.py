"""The text drawing, as the page and as the function."""

from __future__ import annotations

import pytest

from booking.services import tokens
from booking.services.context import SCOPES
from tests.support.pages import PageSite, at


def drawn(site: PageSite, query: str = "start=2030-01-14", token: str | None = None) -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = site.app.test_client().get(f"/calendar.txt?{query}", headers=headers)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    return response.get_data(as_text=True)


def test_the_week_is_drawn_with_free_taken_and_mine(site: PageSite) -> None:
    site.book("grace", "large", at(0, 6), at(24, 6))
    site.book("grace", "medium", at(9, 7), at(12, 8))
    site.book("grace", "small", at(0, 9), at(24, 9))
    site.book("ada", "small", at(20, 9), at(6, 10))
    token = tokens.make(site.ctx, None, "ada", SCOPES[:3])
    assert drawn(site, token=token.secret) == (
        "large  --- --- --- --- --- === ===\n"
        "medium --- === === === === === ===\n"
        "small  --- === ===[### ###]=== ===\n"
        "tiny   --- === === === === === ===\n"
        "custom --- === === === === === ===\n"
        "       Mon Tue Wed Thu Fri Sat Sun\n"
    )


def test_a_stranger_sees_nothing_as_mine(site: PageSite) -> None:
    site.book("ada", "small", at(0, 9), at(24, 9))
    assert "#" not in drawn(site)


def test_mine_at_the_end_of_the_week_is_closed(site: PageSite) -> None:
    site.book("ada", "large", at(0, 11), at(24, 13))
    token = tokens.make(site.ctx, None, "ada", SCOPES[:3])
    assert "large  === === === === ===[### ###]\n" in drawn(site, token=token.secret)


def test_a_month_has_its_dates_below(site: PageSite) -> None:
    lines = drawn(site, "view=month&start=2030-02-10").splitlines()
    assert lines[0].split() == ["large", *["==="] * 28]
    assert lines[-3].split()[:4] == ["Fri", "Sat", "Sun", "Mon"]
    assert lines[-2].split() == [str(n) for n in range(1, 29)]
    assert lines[-1].split() == ["Feb"]
    assert len({len(line) for line in lines[:5]}) == 1


def test_ten_weeks_name_each_month_where_it_begins(site: PageSite) -> None:
    lines = drawn(site, "view=10w").splitlines()
    assert len(lines[0].split()) == 71
    assert lines[-1].split() == ["Jan", "Feb", "Mar"]
    assert lines[-1].index("Feb") == lines[-2].index("  1", lines[-2].index(" 31") + 3)


@pytest.mark.parametrize("query", ["view=year", "start=soon", "colour=red"])
def test_what_makes_no_sense_is_refused(site: PageSite, query: str) -> None:
    assert site.app.test_client().get(f"/calendar.txt?{query}").status_code == 400
