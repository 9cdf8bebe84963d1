"""A noun of the API: a blueprint whose every route says who may call it and what it may answer."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import marshmallow
from flask import Request, Response, current_app, request
from flask_smorest import Blueprint
from webargs.flaskparser import FlaskParser

from booking.api import problems, reading
from booking.api.schemas.fields import flattened
from booking.errors import Invalid

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"
"""Anybody may call it."""
AVAILABILITY = "availability:read"
"""Anybody, unless the installation keeps what is free to those it knows."""
SIGNED_IN = "signed in"
"""Whoever has an account, with any scope."""

ALWAYS = (422, 500, 503)


def needs(access: str, **said: Any) -> Callable[[View], View]:
    """Who may call a route, of the API or a page: a scope, or one of the words above."""

    def decorate(view: View) -> View:
        view.__dict__.setdefault("_apidoc", {}).update(said, access=access)
        return view

    return decorate


class StrictParser(FlaskParser):
    """Refuses unknown fields wherever they come, and tells faults by the path of the field."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 (the library declares it so)
        "json": marshmallow.RAISE,
        "query": marshmallow.RAISE,
        "headers": marshmallow.EXCLUDE,
    }

    _MOST = 512
    """So many queries of lists and calendars are kept as they were read; programs ask the same again."""
    _LONGEST = 500
    """Bytes of a query that is kept."""

    def __init__(self) -> None:
        super().__init__()
        self._queries: OrderedDict[tuple[Any, bytes], Mapping[str, Any]] = OrderedDict()

    def parse(self, argmap: Any, req: Request | None = None, **more: Any) -> Any:
        """What a request says; a query means the same whenever it comes, so it is read once."""
        text = (req or request).query_string
        if more.get("location") != "query" or len(text) > self._LONGEST:
            return super().parse(argmap, req, **more)
        found = self._queries.get((argmap, text))
        if found is None:
            found = self._queries[argmap, text] = super().parse(argmap, req, **more)
            if len(self._queries) > self._MOST:
                self._queries.popitem(last=False)
        return dict(found)

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        """The body as it is; the guard has read it already."""
        return reading.body_of(req)

    def handle_error(self, error: marshmallow.ValidationError, *_: Any, **__: Any) -> NoReturn:
        # The outermost key is where it was found: json, query or headers.
        raise Invalid(flattened({"_schema": next(iter(error.messages_dict.values()))}))


class Noun(Blueprint):
    """One noun: its routes, who may call them, and their place in the specification."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, description: str, url_prefix: str | None = "/api/v1") -> None:
        super().__init__(name, __name__, url_prefix=url_prefix, description=description)
        self._prepare_doc_cbks.append(self._prepare_access_doc)
        problems.install(self)

    def needs(self, access: str, *may_answer: int) -> Callable[[View], View]:
        """Who may call the route, and with which problems it answers."""
        return lambda view: needs(access, problems=may_answer, called=view.__name__)(view)

    def query(self, schema: type[marshmallow.Schema]) -> Callable[[View], View]:
        """What may stand in the query; a list may be repeated."""

        def decorate(view: View) -> View:
            wrapped: View = self.arguments(schema, location="query")(view)
            wrapped.__dict__["_apidoc"]["query"] = {
                field.data_key or name: isinstance(field, marshmallow.fields.List)
                for name, field in schema().fields.items()
            }
            return wrapped

        return decorate

    def body(self, schema: type[marshmallow.Schema], *, required: bool = True) -> Callable[[View], View]:
        """What the body looks like."""

        def decorate(view: View) -> View:
            wrapped: View = self.arguments(schema, location="json", required=required)(view)
            wrapped.__dict__["_apidoc"]["body"] = True
            return wrapped

        return decorate

    def headers(self, schema: type[marshmallow.Schema]) -> Callable[[View], View]:
        """Which headers matter."""
        decorate: Callable[[View], View] = self.arguments(schema, location="headers")
        return decorate

    @staticmethod
    def _prepare_access_doc(doc: dict[str, Any], info: dict[str, Any], **_: Any) -> dict[str, Any]:
        access = info.get("access", PUBLIC)
        responses = {
            status: answer for status, answer in doc.get("responses", {}).items() if int(status) < 400
        }
        expected = {*ALWAYS, *info.get("problems", ())}
        expected |= {400, 413, 415} if info.get("body") else set()
        expected |= set() if access == PUBLIC else {401, 403}
        for status in sorted(expected):
            responses[status] = {"$ref": f"#/components/responses/{problems.component(status)}"}
        doc["responses"] = responses
        doc["security"] = _security(access)
        doc["operationId"] = info["called"]
        return doc


def _security(access: str) -> list[dict[str, list[str]]]:
    known: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
    if access == PUBLIC:
        return []
    return [{}, *known] if access == AVAILABILITY else known


def doc_of(view: Callable[..., Any]) -> Mapping[str, Any] | None:
    """What a route declares about itself."""
    doc: Mapping[str, Any] | None = getattr(view, "_apidoc", None)
    return doc


def written(
    body: bytes | str | Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer made here, past the schema, which then only documents it."""
    text = body if isinstance(body, bytes | str) else json.dumps(body, separators=(",", ":"))
    # Of a 304 it is taken off again; without it the answer would be told as a page, with a language.
    kind = "application/json" if text or status == 304 else None
    return current_app.response_class(text, status=status, mimetype=kind, headers=headers)


def nothing() -> Response:
    """Done, and there is nothing to say."""
    return written("", 204)
