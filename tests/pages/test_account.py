"""One's own account: limits, groups, the feed, tokens."""

from __future__ import annotations

import re

from booking.models import Role
from booking.services import groups
from tests.support.pages import PageSite, at
from tests.support.reader import Reader


def test_everybody_reads_what_their_level_allows_and_what_is_used(site: PageSite) -> None:
    site.book("ada", "large", at(9), at(19))
    text = site.reader("ada").get("/account").text
    assert "80 of 1,000 core-hours in four weeks are booked." in text
    assert "Longest span 14 days" in text
    assert "Administrators are limited by capacity alone." in site.reader("root").get("/account").text


def test_a_group_is_made_joined_and_left(site: PageSite) -> None:
    ada = site.reader("ada").get("/account")
    ada.submit("/account/groups", name="gaia")
    members = next(form.action for form in ada.parsed.forms if form.action.endswith("/members"))
    assert ada.submit(members, "Add", account="nobody").status == 422
    assert "Nobody here has that name" in ada.text
    ada.submit(members, "Add", account="grace", role="writer")
    assert "grace is writer of the group." in ada.text
    grace = site.reader("grace").get("/account")
    assert "gaia" in grace.text
    grace.submit(members, "Leave")
    assert "gaia" not in grace.get("/account").text
    assert ada.get("/account").submit(members, "Leave").status == 409
    assert ada.get("/account").submit("/account/groups", name="gaia").status == 409


def test_what_is_booked_for_a_group_its_members_may_use(site: PageSite) -> None:
    made = groups.create(site.ctx, site.actor("ada"), "gaia")
    groups.put_member(site.ctx, site.actor("ada"), made.id, "grace", Role.READER)
    ada = site.reader("ada").get("/calendar")
    fields = {
        "from_date": "2030-01-08",
        "until_date": "2030-01-08",
        "from_hour": "09:00",
        "until_hour": "12:00",
    }
    ada.submit("/calendar/review", package="small", group="gaia", **fields).submit("/bookings", "Confirm")
    assert "gaia group" in ada.text
    assert site.reader("grace").get(ada.path).status == 200
    assert 'name="group"' not in site.reader("grace").get("/calendar").html
    forged = (
        site.reader("grace")
        .get("/calendar")
        .submit("/calendar/review", package="tiny", group="gaia", **fields)
    )
    assert "is not a group you may book for" in forged.text


def test_a_token_is_shown_once_works_and_is_revoked(site: PageSite) -> None:
    ada = site.reader("ada").get("/account")
    assert "administer the site" not in ada.text
    ada.submit("/account/tokens", "Make it", label="laptop")
    secret = re.search(r'class="secret">([^<]+)<', ada.html)
    assert secret is not None
    call = {"headers": {"Authorization": f"Bearer {secret[1]}"}}
    assert site.app.test_client().get("/api/v1/bookings", **call).status_code == 200
    assert secret[1] not in ada.get("/account").html
    revoke = next(form.action for form in ada.parsed.forms if form.action.endswith("/revoke"))
    ada.submit(revoke)
    assert site.app.test_client().get("/api/v1/bookings", **call).status_code == 401
    assert ada.submit("/account/tokens", "Make it", scope=None).status == 422


def test_nobody_grants_a_token_more_than_they_have(site: PageSite) -> None:
    ada = site.reader("ada").get("/account")
    assert ada.submit("/account/tokens", "Make it", scope="admin").status == 403


def test_the_address_for_a_calendar_is_shown_once_renewed_and_removed(site: PageSite) -> None:
    site.book("ada", "small", at(9), at(12), title="Curves of light")

    def address(reader: Reader) -> str:
        found = re.search(r'class="secret">http://localhost(/feed/[^<]+)<', reader.html)
        assert found is not None
        return found[1]

    def status(path: str) -> int:
        return site.app.test_client().get(path).status_code

    ada = site.reader("ada").get("/account").submit("/account/feed", "Make the address")
    first = address(ada)
    assert "Curves of light" in site.app.test_client().get(first).get_data(as_text=True)
    assert first not in ada.get("/account").html
    second = address(ada.submit("/account/feed", "Make a new address"))
    assert (status(first), status(second)) == (404, 200)
    ada.submit("/account/feed", "Remove it")
    assert "Nothing is at the address any more." in ada.text
    assert status(second) == 404
