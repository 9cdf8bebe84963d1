"""Groups: accounts that share bookings."""

from __future__ import annotations

from typing import Any

from flask import Response

from booking.api.noun import Noun, nothing
from booking.api.paging import page, parts_of
from booking.api.schemas.accounts import GroupIn, GroupList, GroupOut, MemberIn
from booking.api.schemas.common import PageQuery
from booking.api.schemas.fields import stamp
from booking.identity import context, require_actor
from booking.models import Role
from booking.services import groups
from booking.services.groups import SeenGroup

blp = Noun(
    "groups", "Accounts that share bookings: readers use them, writers book, administrators say who belongs."
)


def shown(group: SeenGroup) -> dict[str, Any]:
    """A group as it is told."""
    return {
        "id": group.id,
        "name": group.name,
        "created_at": stamp(group.created_at),
        "role": group.role.value if group.role else None,
        "members": [{"account": name, "role": role.value} for name, role in group.members],
    }


@blp.get("/groups")
@blp.needs("bookings:read")
@blp.query(PageQuery)
@blp.response(200, GroupList)
def list_groups(query: dict[str, Any]) -> dict[str, Any]:
    """One's own groups by name; an administrator's are all."""
    after = parts_of(query.get("cursor"), 1)
    rows = groups.groups(context(), require_actor(), after[0] if after else None, query["limit"])
    return page(rows, query["limit"], shown, lambda group: (group.name,))


@blp.post("/groups")
@blp.needs("bookings:write", 409)
@blp.body(GroupIn)
@blp.response(201, GroupOut)
def make_group(body: dict[str, Any]) -> Any:
    """Make a group and become its administrator."""
    group = groups.create(context(), require_actor(), body["name"])
    return shown(group), 201, {"Location": f"/api/v1/groups/{group.id}"}


@blp.get("/groups/<group>")
@blp.needs("bookings:read", 404)
@blp.response(200, GroupOut)
def get_group(group: str) -> dict[str, Any]:
    """One group, by name or id; somebody else's is not there."""
    return shown(groups.group(context(), require_actor(), group))


@blp.put("/groups/<group>/members/<account>")
@blp.needs("bookings:write", 404, 409)
@blp.body(MemberIn)
@blp.response(200, GroupOut)
def put_member(body: dict[str, Any], group: str, account: str) -> dict[str, Any]:
    """Take an account in, or change its role."""
    return shown(groups.put_member(context(), require_actor(), group, account, Role(body["role"])))


@blp.delete("/groups/<group>/members/<account>")
@blp.needs("bookings:write", 404, 409)
@blp.response(204)
def remove_member(group: str, account: str) -> Response:
    """Let an account belong to it no longer; everybody may leave."""
    groups.remove_member(context(), require_actor(), group, account)
    return nothing()
