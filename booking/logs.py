"""What is logged: lines of text for people or of JSON for programs, each with the request, tick or work it tells of."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_MOST = 2000
"""Characters of one message in JSON."""
_MOST_TRACE = 8000
"""Characters of one traceback in JSON, whose end tells most."""
_GIVEN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

_about: ContextVar[Mapping[str, object]] = ContextVar("about")
_NOTHING: Mapping[str, object] = {}


def tell(**fields: object) -> None:
    """From here on every line of this task tells this, and nothing that was said before."""
    _about.set(fields)


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Every line within tells this too."""
    token = _about.set({**_about.get(_NOTHING), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def is_id(text: str) -> bool:
    """Whether an id that somebody else gave to a request may stand in our log and answers."""
    return _GIVEN_ID.fullmatch(text) is not None


class Text(logging.Formatter):
    """A sentence, and in brackets what it belongs to; no message can pretend to be two lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        line = super().formatMessage(record)
        if not line.isprintable():
            line = line.encode("unicode_escape").decode("ascii")
        told = _about.get(_NOTHING)
        return f"{line} [{' '.join(f'{name}={value}' for name, value in told.items())}]" if told else line


class Json(logging.Formatter):
    """One object for each line; what a message was given by name are fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            **_about.get(_NOTHING),
            **(record.args if isinstance(record.args, Mapping) else _NOTHING),
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage()[:_MOST],
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)[-_MOST_TRACE:]
        return json.dumps(line, default=str)


def configure(form: str) -> None:
    """Log to standard error from INFO on; foreign libraries speak up for warnings only."""
    formatter = Json() if form == "json" else Text()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    for logger in (logging.getLogger(), logging.getLogger("gunicorn.error")):
        for handler in logger.handlers:
            handler.setFormatter(formatter)
    logging.getLogger("booking").setLevel(logging.INFO)
