"""The colours of the pages: every pair that meets on a page can be told apart, in light and in dark."""

from __future__ import annotations

import re
from functools import cache

import pytest

from booking.resources import static_path

TEXT = 4.5
"""WCAG 2.2, 1.4.3: text on its ground."""
SIGN = 3.0
"""WCAG 2.2, 1.4.11: signs, borders of fields, the focus."""
PAIRS = {
    "ink": ("bg", "surface", "raised", "danger-soft", "accent-soft"),
    "muted": ("bg", "surface", "raised"),
    "accent": ("bg", "surface", "raised"),
    "accent-strong": ("surface", "accent-soft"),
    "on-accent": ("accent", "accent-strong"),
    "free-ink": ("free-1", "free-2", "free-3", "none"),
    "none-ink": ("none",),
    "on-mine": ("mine",),
    "good": ("surface", "good-soft"),
    "warn": ("surface", "warn-soft"),
    "danger": ("surface", "danger-soft"),
    "on-danger": ("danger", "danger-strong"),
}
SIGNS = {
    "line-strong": ("surface", "bg"),
    "chosen": ("surface", "bg", "free-1", "free-2"),
    "hatch": ("none",),
    "mine": ("surface", "free-1", "free-2", "none"),
    "ink": ("raised", "warn-soft"),
    "warn": ("surface", "bg"),
}
LOOKS = ("light", "dark")


@cache
def tokens() -> dict[str, tuple[str, str]]:
    css = (static_path() / "app.css").read_text(encoding="utf-8")
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    return {name: (light, dark) for name, light, dark in found}


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str, look: str) -> float:
    lights = sorted(luminance(tokens()[name][LOOKS.index(look)]) for name in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def test_black_on_white_is_twenty_one_to_one() -> None:
    assert round((luminance("#ffffff") + 0.05) / (luminance("#000000") + 0.05)) == 21


@pytest.mark.parametrize("look", LOOKS)
def test_text_can_be_read_on_every_ground_it_stands_on(look: str) -> None:
    pairs = [(text, ground) for text, grounds in PAIRS.items() for ground in grounds]
    found = {pair: round(contrast(*pair, look), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < TEXT} == {}


@pytest.mark.parametrize("look", LOOKS)
def test_signs_can_be_told_from_what_is_around_them(look: str) -> None:
    pairs = [(sign, ground) for sign, grounds in SIGNS.items() for ground in grounds]
    found = {pair: round(contrast(*pair, look), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < SIGN} == {}


def test_no_colour_stands_in_the_sheets_but_as_a_token() -> None:
    for name in ("app.css", "calendar.css", "pages.css"):
        css = (static_path() / name).read_text(encoding="utf-8")
        rules = css.partition("*, *::before")[2] if name == "app.css" else css
        said = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rules)) - {"#fff", "#000"}
        assert not said, name
