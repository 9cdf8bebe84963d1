"""The cards of the landing page from a terminal."""

from __future__ import annotations

from tests.cli.conftest import Terminal

CARD = ("template", "create", "Curves of light", "--package", "small", "--length", "PT2H")


def test_a_card_is_put_up_listed_and_taken_down(lab: Terminal) -> None:
    made = lab.json(*CARD, "--notebook-url", "https://example.org/curves.ipynb", "--sharing", "shared")
    assert (made["title"], made["length"], made["sharing"], made["shown"]) == (
        "Curves of light",
        "PT2H",
        "shared",
        True,
    )
    draft = lab.json("template", "create", "Draft", "--package", "large", "--length", "P1D", "--hidden")
    assert lab.json("template", "list") == {"items": [made, draft]}
    assert "Curves of light" in lab.ok("template", "list")
    assert lab.ok("template", "remove", made["id"]) == "removed\n"
    assert "template.not_found" in lab.refused("template", "remove", made["id"])
    assert lab.json("template", "list") == {"items": [draft]}


def test_a_card_that_cannot_be_is_refused_by_field(lite_lab: Terminal) -> None:
    assert "package: there is no package 'huge'" in lite_lab.refused(*CARD, "--package", "huge")
    assert lite_lab.refused(*CARD, "--length", "soon").startswith("length: ")
    assert lite_lab.refused(*CARD, "--pool", "moon").startswith("pool: ")
