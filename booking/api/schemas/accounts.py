"""Accounts, tokens, levels and groups, in and out."""

from __future__ import annotations

from datetime import timedelta

from marshmallow import Schema, fields

from booking.api.schemas.bookings import QuotaOut
from booking.api.schemas.common import PageQuery, line_field, listed, name_field
from booking.api.schemas.fields import Choice, Day, JBool, JInt, Length, Mapped, Several, Strict, Text
from booking.models import AccountKind, Role
from booking.services.accounts import LONGEST_PASSWORD, SHORTEST_PASSWORD
from booking.services.context import SCOPES

MOST_LEVEL = 1000
LONGEST_TOKEN = timedelta(days=3660)


def _password() -> Text:
    return Text(LONGEST_PASSWORD, SHORTEST_PASSWORD, metadata={"format": "password"})


class AccountIn(Strict):
    name = name_field(required=True)
    password = _password()
    level = JInt(MOST_LEVEL, load_default=1)
    admin = JBool(load_default=False)
    kind = Choice((AccountKind.PERSON, AccountKind.SERVICE), load_default=AccountKind.PERSON.value)


class AccountChangeIn(Strict):
    level = JInt(MOST_LEVEL)
    admin = JBool()
    password = _password()
    limits = Mapped(keys=Text(40), metadata={"description": "What differs from the limits of the level."})
    disabled = JBool()


class PasswordIn(Strict):
    current = Text(LONGEST_PASSWORD, 1, required=True, metadata={"format": "password"})
    new = Text(LONGEST_PASSWORD, SHORTEST_PASSWORD, required=True, metadata={"format": "password"})


class AccountOut(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    level = fields.Integer(required=True)
    admin = fields.Boolean(required=True)
    limits = fields.Dict(required=True)
    created_at = fields.String(required=True)
    expires_at = fields.String(required=True, allow_none=True)
    disabled = fields.Boolean(required=True)


AccountList = listed(AccountOut)


class OwnAccountOut(AccountOut):
    """The same for oneself: the limits in force, and what is used of them."""

    scopes = fields.List(fields.String(), required=True)
    quota = fields.Nested(QuotaOut, required=True)


class LoginIn(Strict):
    name = Text(100, 1, required=True)
    password = Text(LONGEST_PASSWORD, 1, required=True, metadata={"format": "password"})


class NewTokenOut(Schema):
    """A token as it is shown once."""

    id = fields.String(required=True)
    account = fields.String(required=True)
    label = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = fields.String(required=True)
    expires_at = fields.String(required=True)
    token = fields.String(required=True)


class TriedOut(Schema):
    account = fields.Nested(AccountOut, required=True)
    token = fields.String(required=True)
    expires_at = fields.String(required=True)


class TokenIn(Strict):
    label = line_field(100, load_default="")
    scopes = Several(Choice(SCOPES), 10, 1, required=True)
    expires_in = Length(LONGEST_TOKEN)
    account = Text(100, 1)


class TokenOut(Schema):
    id = fields.String(required=True)
    account = fields.String(required=True)
    label = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = fields.String(required=True)
    expires_at = fields.String(required=True)


TokenList = listed(TokenOut)


class LimitsIn(Strict):
    limits = Mapped(keys=Text(40), required=True, metadata={"description": "By name; null lifts a limit."})


class LevelOut(Schema):
    level = fields.Integer(required=True)
    limits = fields.Dict(required=True)


LevelList = listed(LevelOut)


class GroupIn(Strict):
    name = name_field(required=True)


class MemberIn(Strict):
    role = Choice(Role, required=True)


class MemberOut(Schema):
    account = fields.String(required=True)
    role = fields.String(required=True)


class GroupOut(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    created_at = fields.String(required=True)
    role = fields.String(required=True, allow_none=True)
    members = fields.List(fields.Nested(MemberOut), required=True)


GroupList = listed(GroupOut)


class JournalQuery(PageQuery):
    account = Text(100, 1)
    action = Text(64, 1)
    subject = Text(200, 1)
    start = Day(data_key="from")
    end = Day(data_key="to")
