"""Groups: accounts that share bookings; their administrators say who belongs to them, and as what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking.errors import Conflict, Forbidden, NotFound
from booking.models import Account, Group, Membership, Role
from booking.services.accounts import find
from booking.services.context import Actor, Context

LEAST_LEVEL = 1
"""Anonymous visitors make no groups."""
MOST_BOOKABLE = 100
"""So many groups a form offers."""


@dataclass(frozen=True)
class SeenGroup:
    """A group as one reader sees it."""

    id: str
    name: str
    created_at: datetime
    role: Role | None
    """The reader's own; None for an administrator of the site who is no member."""
    members: Sequence[tuple[str, Role]]


def create(ctx: Context, actor: Actor, name: str) -> SeenGroup:
    """Make a group; who makes it is its first administrator.

    :raises Forbidden: if the actor's level is too low.
    :raises Conflict: if the name is taken.
    """
    actor.require("bookings:write")
    if actor.level < LEAST_LEVEL and not actor.is_admin:
        raise Forbidden(f"Making a group needs level {LEAST_LEVEL}.")

    def write(session: Session) -> SeenGroup:
        if session.scalar(select(Group.id).where(Group.name == name)) is not None:
            raise Conflict(f"There is a group {name!r} already.", code="group.conflict")
        group = Group(id=ctx.ids.new(), name=name, created_at=ctx.clock.now())
        session.add(group)
        session.flush()
        session.add(Membership(group_id=group.id, account_id=actor.id, role=Role.ADMIN))
        ctx.journal(session, actor, "group.made", f"group:{group.id}", name=name)
        session.flush()
        return _seen(session, actor, group)

    try:
        return ctx.db.run("make group", write)
    except IntegrityError:  # somebody made it at the same moment
        raise Conflict(f"There is a group {name!r} already.", code="group.conflict") from None


def _seen(session: Session, actor: Actor, group: Group) -> SeenGroup:
    return _all_seen(session, actor, [group])[0]


def _all_seen(session: Session, actor: Actor, found: Sequence[Group]) -> list[SeenGroup]:
    """Groups with their members, which are read at once."""
    members: defaultdict[str, list[tuple[str, Role]]] = defaultdict(list)
    own: dict[str, Role] = {}
    query = (
        select(Membership.group_id, Membership.account_id, Account.name, Membership.role)
        .join(Account, Account.id == Membership.account_id)
        .where(Membership.group_id.in_([group.id for group in found]))
        .order_by(Account.name)
    )
    for group_id, account_id, name, role in session.execute(query) if found else ():
        members[group_id].append((name, role))
        if account_id == actor.id:
            own[group_id] = role
    return [
        SeenGroup(group.id, group.name, group.created_at, own.get(group.id), members[group.id])
        for group in found
    ]


def _visible(session: Session, actor: Actor, name: str, *, lock: bool = False) -> tuple[Group, SeenGroup]:
    query = select(Group).where((Group.id == name) | (Group.name == name))
    group = session.scalar(query.with_for_update() if lock else query)
    if group is None:
        raise NotFound("group", name)
    seen = _seen(session, actor, group)
    if seen.role is None and not actor.acts_as_admin:
        raise NotFound("group", name)
    return group, seen


def group(ctx: Context, actor: Actor, name: str) -> SeenGroup:
    """One group, by name or id.

    :raises NotFound: if there is none, or it is not the reader's to see.
    """
    actor.require("bookings:read")
    return ctx.db.read("group", lambda session: _visible(session, actor, name)[1])


def groups(ctx: Context, actor: Actor, after: str | None, limit: int) -> Sequence[SeenGroup]:
    """The reader's groups by name, an administrator's all; one more than the limit where there are more."""
    actor.require("bookings:read")

    def read(session: Session) -> Sequence[SeenGroup]:
        query = select(Group).order_by(Group.name).limit(limit + 1)
        if not actor.acts_as_admin:
            query = query.join(Membership).where(Membership.account_id == actor.id)
        if after is not None:
            query = query.where(Group.name > after)
        return _all_seen(session, actor, session.scalars(query).all())

    return ctx.db.read("groups", read)


def bookable(session: Session, actor: Actor) -> list[str]:
    """The names of the groups that somebody may book for, in order."""
    query = (
        select(Group.name)
        .join(Membership)
        .where(Membership.account_id == actor.id, Membership.role.in_((Role.WRITER, Role.ADMIN)))
        .order_by(Group.name)
        .limit(MOST_BOOKABLE)
    )
    return list(session.scalars(query))


def offered(ctx: Context, actor: Actor) -> list[str]:
    """The same for who asks."""
    return ctx.db.read("bookable groups", lambda session: bookable(session, actor))


def put_member(ctx: Context, actor: Actor, group_name: str, account: str, role: Role) -> SeenGroup:
    """Take an account into a group, or change what it is there.

    :raises NotFound: if the group or the account is not there.
    :raises Forbidden: if the actor is no administrator of the group.
    :raises Conflict: if the group would be left without one.
    """

    def act(session: Session, row: Group) -> None:
        member = find(session, account)
        known = session.get(Membership, (row.id, member.id))
        if known is None:
            session.add(Membership(group_id=row.id, account_id=member.id, role=role))
        else:
            known.role = role
        ctx.journal(session, actor, "group.member", f"group:{row.id}", account=member.name, role=role.value)

    return _change(ctx, actor, group_name, act)


def remove_member(ctx: Context, actor: Actor, group_name: str, account: str) -> SeenGroup:
    """Let an account belong to a group no longer; everybody may leave.

    :raises NotFound: if the group or the account is not there.
    :raises Forbidden: if the actor is neither an administrator of the group nor the one who leaves.
    :raises Conflict: if the group would be left without an administrator.
    """

    def act(session: Session, row: Group) -> None:
        member = find(session, account)
        known = session.get(Membership, (row.id, member.id))
        if known is not None:
            session.delete(known)
            ctx.journal(session, actor, "group.left", f"group:{row.id}", account=member.name)

    return _change(ctx, actor, group_name, act, leaves=account in (actor.name, actor.id))


def _change(
    ctx: Context,
    actor: Actor,
    group_name: str,
    act: Callable[[Session, Group], None],
    *,
    leaves: bool = False,
) -> SeenGroup:
    actor.require("bookings:write")

    def write(session: Session) -> SeenGroup:
        row, seen = _visible(session, actor, group_name, lock=True)
        if seen.role is not Role.ADMIN and not leaves and not actor.acts_as_admin:
            raise Forbidden("This needs an administrator of the group.")
        act(session, row)
        session.flush()
        after = _seen(session, actor, row)
        if not any(role is Role.ADMIN for _, role in after.members):
            raise Conflict("The group would be left without an administrator.", code="group.conflict")
        return after

    return ctx.db.run("change group", write)
