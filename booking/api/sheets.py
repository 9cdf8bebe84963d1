"""Answers as CSV, for those who open them in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from flask import Response, current_app, request

TYPE = "text/csv"
SHEET = {"type": "string"}
"""How the specification describes one."""
_ACTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

Value = str | float | int | None


def wanted(asked: str | None) -> bool:
    """Whether CSV is asked for: by the word in the query, else by what the caller accepts above JSON."""
    if asked is not None:
        return asked == "csv"
    return request.accept_mimetypes.best_match(["application/json", TYPE]) == TYPE


def sheet(name: str, head: Sequence[str], rows: Iterable[Sequence[Value]]) -> Response:
    """A file of that name with one line of names and one for each row, as RFC 4180 has it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_safe(value) for value in row] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Vary": "Accept"}
    return current_app.response_class(text.getvalue(), mimetype=TYPE, headers=headers)


def _safe(value: Value) -> Value:
    """Text that would act in a spreadsheet gets an apostrophe before it; numbers do not act."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_ACTS) else value
