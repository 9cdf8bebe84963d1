"""Cards: on the landing page, alone, and in the hands of an administrator."""

from __future__ import annotations

import re
from datetime import timedelta

from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.models import Template
from booking.pages.admin.forms import Options
from booking.services import templates
from booking.services.templates import Card
from tests.support.pages import SERVICE, PageSite, at

HOUR = timedelta(hours=1)
URL = "https://example.org/curves.ipynb"


def put_up(site: PageSite, package: str = "small", **more: object) -> Template:
    card = Card("Curves of light", package, 2 * HOUR, "Fit a curve.", URL, **more)  # type: ignore[arg-type]
    return templates.make(site.ctx, SERVICE, card)


def test_one_click_on_the_landing_page_books_and_leads_to_the_page_that_opens_the_notebook(
    site: PageSite,
) -> None:
    card = put_up(site)
    ada = site.reader("ada").get("/")
    assert "Fit a curve." in ada.text
    ada.submit(f"/templates/{card.id}/book", "Book and open")
    (made,) = site.rows("ada")
    assert ada.path == f"/bookings/{made.booking_id}?open=notebook"
    assert "Booked." in ada.text
    assert "The notebook opens here by itself" in ada.text
    assert (made.booking.title, made.booking.notebook_url) == ("Curves of light", URL)


def test_the_page_leads_to_the_notebook_once_when_it_is_ready(site: PageSite) -> None:
    card = put_up(site)
    ada = site.reader("ada").get("/").submit(f"/templates/{card.id}/book")
    (made,) = site.rows("ada")
    status = f"/bookings/{made.booking_id}/status?open=notebook"
    asks = {"HX-Request": "true"}
    assert f'hx-get="{status}"' in ada.html
    assert "HX-Redirect" not in ada.client.get(status, headers=asks).headers
    site.pass_time(timedelta(seconds=5))
    ready = ada.client.get(status, headers=asks)
    assert ready.headers["HX-Redirect"] == f"/bookings/{made.booking_id}/open/notebook"
    assert "?open=notebook" not in ready.get_data(as_text=True)
    assert "Open notebook" in ada.get(ada.path).text


def test_who_is_not_signed_in_is_led_to_the_door_and_back_to_the_card(site: PageSite) -> None:
    card = put_up(site)
    visitor = site.reader().get("/").follow("Book and open")
    visitor.submit("/login", name="ada", password="correct horse")
    assert visitor.path == f"/templates/{card.id}"
    visitor.submit(f"/templates/{card.id}/book", "Book and open")
    assert [row.state for row in site.rows("ada")] == [State.CONFIRMED]


def test_who_gives_it_a_try_comes_back_to_the_card_and_books_with_one_click(site: PageSite) -> None:
    card = put_up(site, "tiny", sharing=Sharing.SHARED)
    visitor = site.reader().get("/").follow("Book and open").submit("/try")
    assert visitor.path == f"/templates/{card.id}"
    assert "Welcome." in visitor.text
    visitor.submit(f"/templates/{card.id}/book")
    assert "Booked." in visitor.text


def test_trying_it_never_leads_to_another_site(site: PageSite) -> None:
    visitor = site.reader().get("/login")
    visitor.submit("/try", next="//example.org")
    assert visitor.path == "/calendar"


def test_a_refusal_tells_the_rule_and_offers_what_would_do(site: PageSite) -> None:
    card = put_up(site, sharing=Sharing.SHARED)
    visitor = site.reader().get("/").submit("/try").get(f"/templates/{card.id}")
    visitor.submit(f"/templates/{card.id}/book")
    assert visitor.status == 403
    assert "Not possible" in visitor.text
    visitor.submit("/bookings", "tiny")
    assert "Booked." in visitor.text
    assert "Curves of light" in visitor.text


def test_the_landing_page_shows_each_level_what_it_may_book(site: PageSite) -> None:
    put_up(site)
    assert "Curves of light" in site.reader("ada").get("/").text
    trial = site.reader().get("/").submit("/try").get("/")
    assert "Curves of light" not in trial.text
    site.book("grace", "large", at(9, -1), at(20, -1))
    assert "next free Mon 7 Jan 20:00" in site.reader().get("/").text


def test_two_clicks_on_one_button_are_one_booking(site: PageSite) -> None:
    card = put_up(site)
    ada = site.reader("ada").get("/")
    fields = dict(ada.form(f"/templates/{card.id}/book").fields)
    for _ in range(2):
        assert ada.client.post(f"/templates/{card.id}/book", data=fields).status_code == 303
    assert len(site.rows("ada")) == 1


def test_an_administrator_puts_up_changes_and_removes_a_card(site: PageSite) -> None:
    root = site.reader("root").get("/admin/templates")
    root.submit("/admin/templates", title="Spectra", package="small", length="PT3H", notebook_url=URL)
    assert "Spectra is on the landing page." in root.text
    (offered,) = templates.listed(site.ctx, None)
    row = offered.template
    assert (row.length, row.notebook_url, row.sharing, row.pool_id) == (
        3 * HOUR,
        URL,
        Sharing.RESERVED,
        None,
    )
    path = f"/admin/templates/{row.id}"
    root.submit(path, "Save", title="Spectra of stars", notebook_url="", shown=None)
    assert "Spectra of stars is changed." in root.text
    (offered,) = templates.listed(site.ctx, site.actor("root"), hidden=True)
    assert (offered.template.shown, offered.template.notebook_url) == (False, None)
    assert "Spectra" not in site.reader().get("/").text
    root.submit(f"{path}/remove", "Remove it")
    assert "None yet." in root.text


def test_what_is_wrong_with_a_card_is_said_beside_it_and_nothing_typed_is_lost(site: PageSite) -> None:
    card = put_up(site)
    root = site.reader("root").get("/admin/templates")
    root.submit("/admin/templates", title="Mine", length="soon", notebook_url="ftp://x")
    assert root.status == 422
    assert "A length is written like P14D or PT4H." in root.text
    assert "Is an address that begins with http:// or https://." in root.text
    assert dict(root.form("/admin/templates").fields)["title"] == "Mine"
    assert dict(root.form(f"/admin/templates/{card.id}").fields)["title"] == "Curves of light"
    root.submit(f"/admin/templates/{card.id}", title="Theirs", length="PT0S")
    assert root.status == 422
    assert re.search(r'<details class="popover" open>', root.html)
    assert dict(root.form(f"/admin/templates/{card.id}").fields)["title"] == "Theirs"


def test_of_options_that_are_written_once_one_is_chosen_and_names_are_escaped() -> None:
    options = Options([("a", "One"), ('b"', "Two > one"), ("a>", "Three")])
    one, two, three = (
        '<option value="a">One</option>',
        '<option value="b&#34;">Two &gt; one</option>',
        '<option value="a&gt;">Three</option>',
    )
    assert options.chosen(None) == options.chosen("c") == one + two + three
    assert options.chosen('b"') == one + two.replace('"b&#34;"', '"b&#34;" selected') + three
    assert options.chosen("a>") == one + two + three.replace('"a&gt;"', '"a&gt;" selected')
