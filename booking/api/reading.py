"""Reading a request before anything is made of it: its JSON, its text, its query."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from flask import Request, g
from webargs import core
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from booking.errors import Invalid

_EMPTY = (b"", b"{}")
_WRONG_TEXT = ["has a character that no text may have"]


def body_of(request: Request) -> Any:
    """The JSON of the body, read once; `missing` where there is none.

    :raises UnsupportedMediaType: if it is said to be something else.
    :raises BadRequest: if it is not JSON.
    :raises Invalid: if a text in it has NUL or half a character, or a name comes twice.
    """
    if "body" not in g:
        g.body = _read(request)
    return g.body


def _read(request: Request) -> Any:
    raw = request.get_data(cache=True)
    if not raw:
        return core.missing
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("The body must be application/json.")
    try:
        body = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if faults := {path: _WRONG_TEXT for path, text in texts(body) if not is_text(text)}:
        raise Invalid(faults)
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid({"body": ["names a field twice"]})
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def texts(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """Every text in a body with its path; names of fields count as texts."""
    if isinstance(value, str):
        yield path or "body", value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield path or "body", key
            yield from texts(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}.{index}".lstrip("."))


def is_text(text: str) -> bool:
    """Whether every database and every UTF-8 reader can hold it: no NUL, no half of a surrogate pair."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def check_query(given: MultiDict[str, str], known: Mapping[str, bool]) -> None:
    """Refuse what is not known, and twice what may come once; `known` says which may repeat.

    :raises Invalid: naming each.
    """
    faults: dict[str, list[str]] = {}
    for name, values in given.lists():
        if name not in known:
            faults[name] = ["is not known here"]
        elif len(values) > 1 and not known[name]:
            faults[name] = ["may be given once"]
        elif not all(is_text(value) for value in (name, *values)):
            faults[name] = _WRONG_TEXT
    if faults:
        raise Invalid(faults)


def check_path(given: Mapping[str, Any]) -> None:
    """:raises Invalid: if a name in the path is no text."""
    for name, value in given.items():
        if not is_text(str(value)):
            raise Invalid({name: _WRONG_TEXT})


def check_body(request: Request, *, wanted: bool) -> None:
    """:raises Invalid: if a body is missing where one is read, or comes where none is."""
    if wanted and body_of(request) is core.missing:
        raise Invalid({"body": ["is needed"]})
    if not wanted and request.get_data(cache=True) not in _EMPTY:
        raise Invalid({"body": ["is not read here; leave it out"]})
