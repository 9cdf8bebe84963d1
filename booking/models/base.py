"""What every table shares: names of constraints, and time that the database cannot misread.

SQLite keeps no zone and compares instants as text, so instants are stored as integers.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Dialect, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

from booking.allocator.span import EPOCH, minute_of

_MICROSECOND = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)


class Base(DeclarativeBase):
    """The root of the tables; constraints are named by convention so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Minute(TypeDecorator[datetime]):
    """An instant on a whole minute, stored as minutes since the Unix epoch.

    :raises ValueError: if the instant is naive or has seconds.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else minute_of(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + value * _MINUTE


class Instant(TypeDecorator[datetime]):
    """An instant, stored as microseconds since the Unix epoch.

    :raises ValueError: if the instant is naive.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs an offset from UTC")
        return (value - EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + value * _MICROSECOND


class Choice(TypeDecorator[Any]):
    """A member of an enum, stored as its value; :func:`one_of` makes the CHECK."""

    impl = String
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum
        self._members = {member.value: member for member in enum}

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:
        return None if value is None else str(self.enum(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:
        # Calling the enum takes three times as long, and lists have thousands.
        return None if value is None else self._members[value]


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    """The CHECK that the column holds a value of the enum."""
    values = ", ".join(f"'{member.value}'" for member in enum)
    return CheckConstraint(f"{column} IN ({values})", name=f"{column}_known")
