"""The specification for programs, and the same for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, json, render_template
from marshmallow import Schema

from booking.api import problems
from booking.api.codes import MEANINGS
from booking.api.noun import PUBLIC, Noun, needs, written

blp = Noun("specification", "This description.")
pages = Blueprint("reference", __name__)
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One call as the page tells it."""

    method: str
    path: str
    summary: str
    access: str
    parameters: list[dict[str, Any]]
    body: str | None
    answers: list[tuple[str, str, str | None]]
    """Status, description, and the name of the schema."""

    @property
    def anchor(self) -> str:
        return f"{self.method.lower()}-{self.path.strip('/').replace('/', '-')}".replace("{", "").replace(
            "}", ""
        )


class DocumentOut(Schema):
    """An OpenAPI document."""

    class Meta:
        unknown = "include"


@blp.get("/openapi.json")
@blp.needs(PUBLIC)
@blp.response(200, DocumentOut)
def get_specification() -> Response:
    """The OpenAPI 3.1 document of this API."""
    return written(json.dumps(specification(), sort_keys=False))


def specification() -> dict[str, Any]:
    """The OpenAPI document, made from the routes themselves."""
    document: dict[str, Any] = current_app.extensions["booking.api"].spec.to_dict()
    return document


@pages.get("/docs/api")
@needs(PUBLIC)
def read_reference() -> str:
    """The specification as a page."""
    document = specification()
    operations = [
        (operation["tags"][0], _operation(method, path, operation, methods.get("parameters", [])))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]
    nouns = [(tag, [told for name, told in operations if name == tag["name"]]) for tag in document["tags"]]
    return render_template(
        "docs/api.html",
        info=document["info"],
        nouns=nouns,
        schemas=sorted(document["components"]["schemas"].items()),
        shape=shape,
        codes=dict(sorted(MEANINGS.items())),
    )


def _operation(method: str, path: str, said: dict[str, Any], shared: list[dict[str, Any]]) -> Operation:
    content = said.get("requestBody", {}).get("content", {})
    return Operation(
        method.upper(),
        path,
        " ".join(part for part in (said.get("summary"), said.get("description")) if part),
        _access(said["security"]),
        [*shared, *said.get("parameters", [])],
        _schema_name(content),
        [(str(status), *_answer(answer)) for status, answer in said["responses"].items()],
    )


def _access(security: list[dict[str, Any]]) -> str:
    if not security:
        return "anybody"
    return "anybody, unless the installation says otherwise" if {} in security else "an account"


def _answer(answer: dict[str, Any]) -> tuple[str, str | None]:
    if "$ref" in answer:
        status = int(answer["$ref"][-3:])
        return problems.title(status), "Problem"
    return answer.get("description", ""), _schema_name(answer.get("content", {}))


def _schema_name(content: dict[str, Any]) -> str | None:
    for media in content.values():
        reference = media.get("schema", {}).get("$ref", "")
        return reference.rpartition("/")[2] or None
    return None


def shape(schema: dict[str, Any]) -> str:
    """A schema in a few words: `list of SpanIn`, `text, 1 to 200 characters`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(shape(part) for part in schema[several])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    kind = schema.get("type", "anything")
    kinds = [kind] if isinstance(kind, str) else list(kind)
    words = [f"list of {shape(schema.get('items', {}))}" if name == "array" else name for name in kinds]
    if "format" in schema:
        words[0] = schema["format"]
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "from"),
            ("maximum", "to"),
            ("minLength", "at least"),
            ("maxLength", "at most"),
        )
        if key in schema
    ]
    return ", ".join([" or ".join(words), *bounds])
