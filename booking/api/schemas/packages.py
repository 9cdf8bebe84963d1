"""Packages in and out."""

from __future__ import annotations

from datetime import timedelta

from marshmallow import Schema, fields

from booking.api.schemas.common import MOST_CORES, MOST_WORKERS, Count, listed
from booking.api.schemas.fields import MOST, JInt, Length, Part, Strict, Text


class NotebookIn(Strict):
    cores = JInt(MOST_CORES, 1, required=True)
    memory_mib = JInt(MOST, 1, required=True)


class WorkerIn(Strict):
    cores = JInt(MOST_CORES, required=True)
    memory_mib = JInt(MOST, required=True)
    count = JInt(MOST_WORKERS, load_default=1)


class PackageIn(Strict):
    name = Text(
        40,
        1,
        r"[a-z0-9][a-z0-9._-]*",
        said="has small letters, digits, dots, dashes and underscores, and begins with a letter or digit",
        required=True,
    )
    notebook = Part(NotebookIn, required=True)
    worker = Part(WorkerIn, required=True)
    lead_time = Length(timedelta(days=7), timedelta(0))


class SizeOut(Schema):
    cores = fields.Integer(required=True)
    memory_mib = fields.Integer(required=True)


class WorkerOut(SizeOut):
    count = fields.Integer(required=True)


class PackageOut(Schema):
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    notebook = fields.Nested(SizeOut, required=True)
    worker = fields.Nested(WorkerOut, required=True)
    demand = fields.Nested(Count, required=True)
    lead_time = fields.String(required=True, metadata={"format": "duration"})


PackageList = listed(PackageOut)
