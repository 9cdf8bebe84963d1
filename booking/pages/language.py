"""In which language a page speaks: English, and every other one that has a whole catalogue.

What people read is written in English where it is used and looked up here. A date is written by a pattern,
which is a message like any other: each language has its own order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import flask_babel
from babel import Locale
from babel.dates import format_date
from babel.units import format_unit
from flask import Flask, Response, g, has_request_context, request

from booking.identity import context

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
"""Each by its own name, in the order in which they are offered."""
COOKIE = PARAMETER = "lang"
_KEPT = timedelta(days=365)
_HTML = "text/html"


def init_app(app: Flask) -> None:
    """Let the templates speak the language of the reader, and every page say which one that is."""
    flask_babel.Babel(app, locale_selector=current)
    # Its own find the catalogue anew with each text, of which a page has hundreds.
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _catalogue(current()).ugettext(text),
        lambda one, many, count: _catalogue(current()).ungettext(one, many, count),
        newstyle=True,
    )
    app.jinja_env.globals.update(
        language=current, direction=direction, languages=LANGUAGES, dated=dated, spoken_in=spoken_in
    )
    app.after_request(_told)


def current() -> str:
    """The language of the page that is being made; English where none is."""
    if not has_request_context():
        return ENGLISH
    found: str | None = g.get("language")
    if found is None:
        found = g.language = _wanted()
    return found


@lru_cache(maxsize=16)
def _catalogue(code: str) -> Any:
    """What the texts are called in that language, which is that of the page."""
    return flask_babel.get_translations()


def _wanted() -> str:
    """What the address asks for, else what was asked for before, else what the browser prefers."""
    for code in (request.args.get(PARAMETER), request.cookies.get(COOKIE)):
        if code in LANGUAGES:
            return code
    accepted = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality > 0)
    return next((code for code in accepted if code in LANGUAGES), ENGLISH)


def _told(response: Response) -> Response:
    """Every page with its language, on which it depends; one that was asked for is kept in a cookie."""
    if response.mimetype != _HTML:
        return response
    response.headers["Content-Language"] = current()
    response.vary.update(("Accept-Language", "Cookie"))
    asked = request.args.get(PARAMETER)
    if asked in LANGUAGES:
        secure = context().settings.secure_cookies
        response.set_cookie(COOKIE, asked, max_age=_KEPT, secure=secure, httponly=True, samesite="Lax")
    return response


def direction() -> str:
    """`ltr` or `rtl`."""
    return Locale.parse(current()).text_direction


def spoken_in(code: str) -> str:
    """The present address in that language; what answers a form has no address, and leads home."""
    if request.method != "GET":
        return f"/?{urlencode({PARAMETER: code})}"
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != PARAMETER]
    return f"{quote(request.path)}?{urlencode([*kept, (PARAMETER, code)])}"


def marked(text: str) -> str:
    """The text itself: it is translated where it is used, and found here by who collects the messages."""
    return text


def gettext(text: str, **values: Any) -> str:
    """The text in the language of the page, with its values."""
    said: str = _catalogue(current()).ugettext(text)
    return said % values if values else said


def ngettext(one: str, many: str, count: float, **values: Any) -> str:
    """One of two texts by a count, which is written into it as `%(count)s`."""
    said: str = _catalogue(current()).ungettext(one, many, count)
    return said % {"count": number(count), **values}


def choices(texts: Mapping[str, str]) -> dict[str, str]:
    """What may be chosen, each with its marked text in the language of the page."""
    return {name: gettext(text) for name, text in texts.items()}


def dated(day: date, pattern: str) -> str:
    """A date by a pattern of Unicode (`EEE d MMM`), as the language of the page writes it."""
    return _dated(day, gettext(pattern), current())


@lru_cache(maxsize=4096)
def _dated(day: date, pattern: str, code: str) -> str:
    return format_date(day, pattern, code)


def number(value: float, decimals: int = 0) -> str:
    """A number with the separators of the language of the page."""
    said = f"{value:,.{decimals}f}"
    return said if current() == ENGLISH else said.translate(_separators(current()))


@lru_cache(maxsize=16)
def _separators(code: str) -> dict[int, str]:
    symbols = Locale.parse(code).number_symbols["latn"]
    return str.maketrans({",": symbols["group"], ".": symbols["decimal"]})


@lru_cache(maxsize=1024)
def _length(count: int, unit: str, code: str) -> str:
    return format_unit(count, f"duration-{unit}", "long", format="0", locale=code)


def length(count: int, unit: str) -> str:
    """So many days, hours, minutes or seconds: `2 days`."""
    return _length(count, unit, current())
