"""The catalogues: what people read is in each of them, has a text, and is compiled."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from booking.pages.language import ENGLISH, LANGUAGES
from booking.resources import static_path
from tools.messages import CATALOGUES, catalogue, collected, compiled, untranslated

OTHERS = sorted(set(LANGUAGES) - {ENGLISH})
PAGES = CATALOGUES.parent / "pages"
_TAKERS = {"gettext", "ngettext", "marked", "dated"}
_PLACE = re.compile(r"%\((\w+)\)[sr]|</?\w+|%%")


def path_of(code: str) -> Path:
    return CATALOGUES / code / "LC_MESSAGES" / "messages.po"


def texts(text: str | list[str] | tuple[str, ...] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or ())


def places(text: str) -> list[str]:
    """What a text has to be filled in, and its markup."""
    return sorted(found.group() for found in _PLACE.finditer(text))


def test_a_language_is_offered_exactly_if_it_has_a_catalogue() -> None:
    assert sorted(path.name for path in CATALOGUES.iterdir()) == OTHERS


@pytest.mark.parametrize("code", OTHERS)
def test_a_catalogue_has_every_message_of_the_sources_and_no_other(code: str) -> None:
    """What is missing is brought in by `make messages`."""
    has, wanted = ({message.id for message in found} for found in (catalogue(path_of(code)), collected()))
    assert has == wanted


def test_no_message_stands_where_it_is_not_collected() -> None:
    """Such as inside of an f-string, where its call is found by Python alone."""
    found = {text for message in collected() if message.id for text in texts(message.id)}
    for path in sorted(PAGES.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _TAKERS:
                said = {node.value for node in call.args if isinstance(node, ast.Constant)}
                assert {text for text in said if isinstance(text, str)} <= found, f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("code", OTHERS)
def test_every_message_has_a_text(code: str) -> None:
    found = catalogue(path_of(code))
    assert untranslated(found) == []
    assert [message.id for message in found if message.fuzzy and message.id] == []


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_has_the_places_and_the_markup_of_its_message(code: str) -> None:
    def differs(message: Message) -> bool:
        wanted = places(texts(message.id)[-1])
        return any(places(text) != wanted for text in texts(message.string)[-1:])

    assert [message.id for message in catalogue(path_of(code)) if message.id and differs(message)] == []


@pytest.mark.parametrize("code", OTHERS)
def test_what_the_application_reads_is_compiled_from_the_catalogue(code: str) -> None:
    path = path_of(code)
    assert path.with_suffix(".mo").read_bytes() == compiled(catalogue(path))


def test_the_looks_know_no_left_and_right_but_on_the_axis_of_time() -> None:
    physical = re.compile(r"(?:margin|padding|border)-(?:left|right)|text-align: (?:left|right)")
    for name in ("app.css", "pages.css"):
        assert physical.findall((static_path() / name).read_text(encoding="utf-8")) == []
