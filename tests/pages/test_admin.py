"""The pages of administrators."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from booking.allocator.lifecycle import State
from booking.pages import bookings
from booking.services import levels
from booking.services.availability import Question, availability
from tests.support.pages import PageSite, at
from tests.support.reader import Reader

PAGES = ("today", "capacity", "packages", "templates", "accounts", "levels", "journal")
DAY = {"from_date": "2030-01-08", "from_hour": "00:00", "until_date": "2030-01-09", "until_hour": "00:00"}


def added(reader: Reader, **fields: str | None) -> Reader:
    """The same with the form at the bottom, which has no row yet."""
    reader.get("/admin/capacity")
    form = next(
        f for f in reader.parsed.forms if f.action == "/admin/capacity" and "row" not in dict(f.fields)
    )
    data = dict(form.fields) | {name: value for name, value in fields.items() if value is not None}
    for name, value in fields.items():
        if value is None:
            data.pop(name, None)
    return reader._came(reader.client.post("/admin/capacity", data=data), "/admin/capacity")


@pytest.mark.parametrize("page", PAGES)
def test_only_administrators_come_in(site: PageSite, page: str) -> None:
    assert site.reader().get(f"/admin/{page}").path.startswith("/login")
    refused = site.reader("ada").get(f"/admin/{page}")
    assert refused.status == 403
    assert "Administration" not in refused.text
    assert site.reader("root").get(f"/admin/{page}").status == 200


def test_nobody_changes_anything_without_the_right(site: PageSite) -> None:
    ada = site.reader("ada").get("/calendar")
    token = dict(ada.form("/logout").fields)["csrf_token"]
    for path in (
        "capacity",
        "pools",
        "packages",
        "packages/tiny/retire",
        "accounts",
        "accounts/ada",
        "levels",
        "levels/1",
    ):
        answer = ada.client.post(f"/admin/{path}", data={"csrf_token": token, "name": "x", "level": "2"})
        assert answer.status_code == 403, path


def test_the_impact_is_shown_before_anything_is_saved(site: PageSite) -> None:
    site.book("ada", "medium", at(9), at(12))
    site.clock.advance(timedelta(minutes=1))
    site.book("grace", "medium", at(9), at(12))
    root = added(site.reader("root"), noun="blackout", cores="4", reason="new disks", forever=None, **DAY)
    assert "1 reservation would no longer fit" in root.text
    assert "grace" in root.text
    assert "new disks" not in site.reader("root").get("/admin/capacity").text
    assert [row.state for row in site.rows("grace")] == [State.CONFIRMED]


def test_those_hit_may_be_kept_and_are_flagged(site: PageSite) -> None:
    site.book("ada", "large", at(9), at(12))
    root = added(site.reader("root"), noun="blackout", cores="4", reason="new disks", forever=None, **DAY)
    root.submit("/admin/capacity", "Save and keep them, flagged")
    assert "1 reservation kept and flagged" in root.text
    assert "new disks" in root.text
    assert [(row.state, row.at_risk) for row in site.rows("ada")] == [(State.CONFIRMED, True)]
    assert "capacity was withdrawn" in site.reader("ada").get("/bookings").text


def test_those_hit_may_be_cancelled(site: PageSite) -> None:
    site.book("ada", "large", at(9), at(12))
    root = added(site.reader("root"), noun="blackout", cores="4", reason="new disks", forever=None, **DAY)
    root.submit("/admin/capacity", "Save and cancel them")
    assert "1 reservation cancelled" in root.text
    assert [row.state for row in site.rows("ada")] == [State.CANCELLED]


def test_a_booking_made_between_looking_and_saving_is_shown_before_it_is_hit(site: PageSite) -> None:
    root = added(site.reader("root"), noun="blackout", cores="4", reason="new disks", forever=None, **DAY)
    assert "No booking is affected." in root.text
    site.book("ada", "large", at(9), at(12))
    root.submit("/admin/capacity", "Save")
    assert root.status == 409
    assert "1 reservation would no longer fit" in root.text
    assert [row.at_risk for row in site.rows("ada")] == [False]


def test_what_is_added_counts_from_its_day_on(site: PageSite) -> None:
    root = added(
        site.reader("root"),
        noun="inventory",
        cores="8",
        memory_mib="32768",
        reason="second rack",
        from_date="2030-01-10",
    )
    root.submit("/admin/capacity", "Save")
    answer = availability(site.ctx, Question(at(0, 0), at(24, 2), packages=("large",)))
    assert answer.rows[0].count == [1, 1, 2]
    assert "second rack" in root.text


def test_an_entry_is_ended_and_removed_with_its_impact_first(site: PageSite) -> None:
    root = added(site.reader("root"), noun="blackout", cores="4", reason="new disks", forever=None, **DAY)
    root.submit("/admin/capacity", "Save")
    row = next(
        dict(f.fields)["row"] for f in root.parsed.forms if dict(f.fields).get("reason") == "new disks"
    )
    forms = [f for f in root.parsed.forms if dict(f.fields).get("row") == row]
    data = dict(forms[0].fields) | {"until_date": "2030-01-08", "until_hour": "12:00"}
    root._came(root.client.post("/admin/capacity", data=data), "/admin/capacity")
    root.submit("/admin/capacity", "Save")
    assert "8 Jan 2030 12:00" in root.text
    data = next(
        dict(f.fields)
        for f in root.parsed.forms
        if dict(f.fields).get("act") == "remove" and dict(f.fields)["row"] == row
    )
    root._came(root.client.post("/admin/capacity", data=data), "/admin/capacity")
    assert "Remove blackout" in root.text
    root.submit("/admin/capacity", "Save")
    assert "new disks" not in root.text


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"reason": ""}, "Has 1 to 500 characters"),
        ({"cores": "", "memory_mib": ""}, "at least one amount"),
        ({"cores": "many"}, "Must be a whole number"),
        ({"cores": "-1"}, "Is between 0 and"),
        ({"until_date": "2030-01-07"}, "Must be after start"),
        ({"until_date": ""}, "Is needed"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said_beside_it(
    site: PageSite, fields: dict[str, str], said: str
) -> None:
    wanted: dict[str, str | None] = {"noun": "blackout", "cores": "4", "reason": "x", "forever": None}
    wanted |= DAY | fields
    root = added(site.reader("root"), **wanted)
    assert root.status == 422
    assert said in root.text


def test_the_chart_has_its_numbers_as_a_table_too(site: PageSite) -> None:
    site.book("ada", "medium", at(9), at(12))
    root = site.reader("root").get("/admin/capacity?span=3m")
    assert root.html.count("<svg") == 2
    assert "at most 4 of 8 reserved" in root.text
    rows = re.findall(r"<tr><td>8 Jan 2030 09:00.*?</tr>", root.html)
    assert re.findall(r'class="n">(\d+)<', rows[0])[:3] == ["8", "4", "4"]


def test_a_pool_is_made_and_set_aside_for_trials(site: PageSite) -> None:
    root = site.reader("root").get("/admin/capacity")
    root.submit("/admin/pools", "Make the pool", name="second", timezone="Mars/Olympus")
    assert root.status == 422
    assert "is not an IANA time zone" in root.text
    root.submit("/admin/pools", "Make the pool", name="second", timezone="Asia/Tokyo", granularity="day")
    assert "Capacity of second" in root.text
    root.submit("/admin/pools", "Save", share_ratio="2.5", reserve_cores="1")
    assert dict(root.form("/admin/pools", "Save").fields)["share_ratio"] == "2.5"
    assert root.submit("/admin/pools", "Make the pool", name="main", timezone="UTC").status == 409


def test_a_new_version_of_a_package_leaves_bookings_as_they_were(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    root = site.reader("root").get("/admin/packages")
    size = {
        "notebook_cores": "2",
        "notebook_memory_mib": "2048",
        "worker_cores": "1",
        "worker_memory_mib": "1024",
    }
    root.submit("/admin/packages", "Publish", name="small", **size, worker_count="2", lead_minutes="5")
    assert "small is at version 2" in root.text
    assert "4 cores, 4 GiB" in root.text
    assert "2 cores, 3 GiB" in site.reader("ada").get(f"/bookings/{made.id}").text
    root.submit("/admin/packages", "Publish", name="Not a name", **size)
    assert root.status == 422
    assert "small letters" in root.text


def test_a_retired_package_leaves_the_calendar(site: PageSite) -> None:
    root = site.reader("root").get("/admin/packages")
    root.submit("/admin/packages/tiny/retire")
    assert 'data-package="tiny"' not in root.get("/calendar").html


def test_an_account_is_made_with_a_password_that_is_shown_once(site: PageSite) -> None:
    root = site.reader("root").get("/admin/accounts")
    root.submit("/admin/accounts", "Make it", name="edsger")
    password = re.search(r'class="secret">([^<]+)<', root.html)
    assert password is not None
    assert password[1] not in site.reader("root").get("/admin/accounts").html
    assert site.reader().sign_in("edsger", password[1]).path == "/calendar"
    assert root.get("/admin/accounts").submit("/admin/accounts", "Make it", name="edsger").status == 409


def test_level_rights_and_disabling(site: PageSite) -> None:
    ada = site.reader("ada")
    root = site.reader("root").get("/admin/accounts")
    action = next(f.action for f in root.parsed.forms if any("Save ada" in text for _, _, text in f.buttons))
    root.submit(action, "Save", level="2", admin="1")
    assert "ada is at level 2, administrator" in root.text
    assert ada.get("/admin/capacity").status == 200
    root.submit(action, "Disable")
    assert "ada is disabled" in root.text
    assert ada.get("/bookings").path.startswith("/login")
    own = next(f.action for f in root.parsed.forms if any("Save root" in text for _, _, text in f.buttons))
    assert root.submit(own, "Disable").status == 409


def test_a_new_password_ends_old_sessions(site: PageSite) -> None:
    ada = site.reader("ada")
    root = site.reader("root").get("/admin/accounts")
    action = next(f.action for f in root.parsed.forms if any("for ada" in text for _, _, text in f.buttons))
    root.submit(action, "New password")
    password = re.search(r'class="secret">([^<]+)<', root.html)
    assert password is not None
    assert ada.get("/bookings").path.startswith("/login")
    assert ada.sign_in("ada", password[1]).status == 200


def test_the_limits_of_a_level_are_changed_in_place(site: PageSite) -> None:
    root = site.reader("root").get("/admin/accounts")
    root.submit("/admin/levels/1", "Save level 1", packages="tiny, small", max_length="PT6H", core_hours="")
    limits = levels.known(site.ctx)[1]
    assert limits.packages == frozenset({"tiny", "small"})
    assert (limits.max_length, limits.core_hours, limits.max_concurrent) == (timedelta(hours=6), None, 5)
    wrong = root.submit("/admin/levels/1", "Save level 1", max_length="six hours")
    assert wrong.status == 422
    assert "a length is written like P14D or PT4H" in wrong.text.replace("A length", "a length")
    root.get("/admin/accounts").submit("/admin/levels", "Add", level="3")
    assert 3 in levels.known(site.ctx)
    assert set(re.findall(r'data-package="(\w+)"', site.reader("ada").get("/calendar").html)) == {
        "tiny",
        "small",
    }


def test_the_journal_is_searched_by_account_action_and_subject(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12))
    site.book("grace", "tiny", at(9), at(12))
    root = site.reader("root").get("/admin/journal?account=ada&action=booking")
    assert root.html.count("booking.made") == 1
    assert f"booking:{made.id}" in root.text
    assert "account.made" in root.get("/admin/journal").text
    assert "There is no account" in root.get("/admin/journal?account=nobody").text


def test_an_administrator_sees_everybodys_bookings_and_may_end_them(site: PageSite) -> None:
    made = site.book("ada", "small", at(9), at(12), title="Forgotten")
    root = site.reader("root").get("/bookings?whose=all")
    assert "Forgotten" in root.text
    root.get(f"/bookings/{made.id}/cancel").submit(f"/bookings/{made.id}/cancel", "Cancel")
    assert [row.state for row in site.rows("ada")] == [State.CANCELLED]
    assert "Forgotten" not in site.reader("grace").get("/bookings?whose=all").text


def test_of_everybodys_bookings_so_many_are_shown_and_that_there_are_more_is_said(
    site: PageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bookings._MOST_COMING, "all", 2)
    for number in range(2):
        site.book("ada", "small", at(9 + number), at(10 + number), title=f"number {number}")
        site.pass_time(timedelta(seconds=1))
    shown = site.reader("root").get("/bookings?whose=all")
    assert "More is booked" not in shown.text
    site.book("ada", "small", at(13), at(14), title="number 2")
    shown = site.reader("root").get("/bookings?whose=all")
    assert "More is booked: those that were made last are shown." in shown.text
    assert [f"number {n}" in shown.text for n in range(3)] == [False, True, True]
    assert "More is booked" not in site.reader("ada").get("/bookings").text
