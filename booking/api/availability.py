"""What is free: per package and cell, and as the earliest spans that fit."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

from flask import Response, request

from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.allocator.span import instant_of
from booking.api.noun import AVAILABILITY, Noun, written
from booking.api.schemas.availability import AvailabilityOut, AvailabilityQuery, SlotsOut, SlotsQuery
from booking.api.schemas.fields import stamp
from booking.identity import context, current_actor, shelf
from booking.services import availability, marks
from booking.services.availability import Answer, Question, Row
from booking.services.marks import Mark
from booking.services.slots import SlotQuestion, slots

blp = Noun("availability", "What can be booked, and when.")
_FRESH = {"Cache-Control": "private, no-cache"}
"""A browser may keep it, and asks each time whether it still holds."""


@blp.get("/availability")
@blp.needs(AVAILABILITY, 404)
@blp.query(AvailabilityQuery)
@blp.response(200, AvailabilityOut)
@blp.alt_response(304, description="Nothing has changed since the ETag that was sent.", success=True)
def get_availability(query: dict[str, Any]) -> Response:
    """How many of each package can be booked, per local day or clock hour."""
    actor, ctx = current_actor(), context()
    question = Question(
        query["start"],
        query["end"],
        pool=query.get("pool"),
        granularity=Granularity(query["granularity"]),
        packages=tuple(query.get("package", ())),
        custom=query["custom"],
        sharing=Sharing(query["sharing"]),
        timezone=query.get("timezone"),
        traits=tuple(query.get("trait", ())),
        best=True,
    )
    question = availability.placed(ctx, question)
    mark = marks.current(ctx, question.pool)
    key = mark, question, mark.draws(actor)
    tag = _tag(*key)
    headers = {**_FRESH, "ETag": f'"{tag}"'}
    known = request.if_none_match
    if not known.star_tag and known.contains_weak(tag):
        return written("", 304, headers)
    body = shelf().get(key, lambda: _as_json(availability.availability(ctx, question, actor)))
    return written(body, headers=headers) if not known.star_tag else written("", 304, headers)


@lru_cache(maxsize=1024)
def _tag(mark: Mark, *others: object) -> str:
    """The tag of the answer; to find it here costs less than to write down and hash all that it stands for."""
    return mark.tag(*others)


def _as_json(answer: Answer) -> bytes:
    """The answer in JSON; twenty thousand cells cost four times as much by way of a serialiser."""
    stamps = [stamp(instant_of(edge)) for edge in answer.edges]
    heads = [f'{{"start":"{start}","end":"{end}","count":' for start, end in pairwise(stamps)]
    rows = ",".join(_row(row, heads) for row in answer.rows)
    return (
        f'{{"pool":"{answer.pool.id}","generation":{answer.pool.generation},"timezone":"{answer.timezone}",'
        f'"granularity":"{answer.granularity}","sharing":"{answer.sharing}","packages":[{rows}]}}'
    ).encode()


def _row(row: Row, heads: list[str]) -> str:
    cells = ",".join(
        f'{head}{count},"best":{best}}}' for head, count, best in zip(heads, row.count, row.best, strict=True)
    )
    return f'{{"package":"{row.package.name}","version":{row.package.version},"cells":[{cells}]}}'


@blp.get("/slots")
@blp.needs(AVAILABILITY, 404)
@blp.query(SlotsQuery)
@blp.response(200, SlotsOut)
def get_slots(query: dict[str, Any]) -> Response:
    """The earliest spans that fit, in order; from now to the horizon where no window is given."""
    question = SlotQuestion(
        query["package"],
        query["duration"],
        start=query.get("start"),
        end=query.get("end"),
        limit=query["limit"],
        pool=query.get("pool"),
        sharing=Sharing(query["sharing"]),
        custom=query["custom"],
        traits=tuple(query.get("trait", ())),
    )
    pool, spans = slots(context(), question)
    return written(
        {
            "items": [{"start": stamp(span.start), "end": stamp(span.end)} for span in spans],
            "next": None,
            "pool": pool.id,
            "generation": pool.generation,
            "timezone": pool.zone.key,
        },
        headers=_FRESH,
    )
