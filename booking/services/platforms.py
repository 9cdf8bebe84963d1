"""Platforms: which of them make clusters by themselves, how they are set up, and how they fare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager, undefer

from booking.adapters.base import Ports, SettingsFault
from booking.allocator.span import floor_minute
from booking.errors import Conflict, Invalid, NotFound
from booking.models import (
    Cluster,
    ClusterPhase,
    Host,
    Platform,
    Pledge,
    PledgePhase,
    Pool,
    Reservation,
    Stranger,
)
from booking.services.context import STRANGERS, Actor, Context

_OVER = (ClusterPhase.GONE, ClusterPhase.FAILED)


@dataclass(frozen=True)
class Setup:
    """How a platform that makes clusters by itself is spoken to."""

    id: str
    name: str
    provisioner: str
    settings: Mapping[str, Any]


Examine = Callable[[Setup], Ports]
"""Makes the ports of a platform without asking it anything.

:raises SettingsFault: naming each setting that is wrong.
"""


@dataclass(frozen=True)
class PlatformChange:
    """What shall be different of a platform; None stays."""

    traits: Sequence[str] | None = None
    provisioner: str | None = None
    """The empty text: clusters there are made by what makes them for the whole installation."""
    settings: Mapping[str, Any] | None = None
    lead_minutes: int | None = None
    teardown_seconds: int | None = None
    stranger_level: int | None = None


@dataclass(frozen=True)
class NewPlatform:
    """A platform to be made."""

    name: str
    setup: PlatformChange = field(default_factory=PlatformChange)


_FULL = tuple(
    undefer(column)
    for column in (Platform.settings, Platform.stranger_level, Platform.fault, Platform.fault_since)
)


def platforms(ctx: Context, actor: Actor) -> Sequence[Platform]:
    """Every platform by name, with its settings and its fault."""
    actor.require("admin")
    query = select(Platform).order_by(Platform.name, Platform.id).options(*_FULL)
    return ctx.db.read("platforms", lambda session: session.scalars(query).all())


def platform(ctx: Context, actor: Actor, name: str) -> Platform:
    """One platform, by id or name.

    :raises NotFound: if there is none.
    """
    actor.require("admin")
    return ctx.db.read("platform", lambda session: find(session, name))


def make(ctx: Context, actor: Actor, new: NewPlatform, examine: Examine) -> Platform:
    """Make a platform; pools are put on it when they are made.

    :raises Invalid: naming the settings that are wrong.
    :raises Conflict: if the name is taken.
    """
    actor.require("admin")

    def write(session: Session) -> Platform:
        if session.scalar(select(Platform.id).where(Platform.name == new.name)) is not None:
            raise Conflict(f"There is a platform {new.name!r} already.", code="platform.conflict")
        row = Platform(id=ctx.ids.new(), name=new.name, traits=[], settings={})
        _apply(row, new.setup, examine)
        session.add(row)
        ctx.journal(session, actor, "platform.made", f"platform:{row.id}", name=row.name)
        session.flush()
        return find(session, row.id)

    try:
        return ctx.db.run("make platform", write)
    except IntegrityError:  # somebody made it at the same moment
        raise Conflict(f"There is a platform {new.name!r} already.", code="platform.conflict") from None


def change(ctx: Context, actor: Actor, name: str, wanted: PlatformChange, examine: Examine) -> Platform:
    """Change how a platform is spoken to; what is set aside and what runs there must still be found.

    :raises NotFound: if there is none.
    :raises Invalid: naming the settings that are wrong.
    :raises Conflict: if something stands there and another provisioner would not find it.
    """
    actor.require("admin")

    def write(session: Session) -> Platform:
        row = find(session, name)
        before = row.provisioner, row.pledges
        _apply(row, wanted, examine)
        if (row.provisioner, row.pledges) != before and _is_in_use(session, row.id):
            raise Conflict(
                "Clusters or pledges stand on this platform; what makes them can be changed when they are gone.",
                code="platform.conflict",
            )
        ctx.journal(session, actor, "platform.changed", f"platform:{row.id}", name=row.name)
        session.flush()
        return row

    return ctx.db.run("change platform", write)


def _apply(row: Platform, wanted: PlatformChange, examine: Examine) -> None:
    if wanted.traits is not None:
        row.traits = list(wanted.traits)
    if wanted.provisioner is not None:
        row.provisioner = wanted.provisioner or None
    if wanted.settings is not None:
        row.settings = dict(wanted.settings)
    if wanted.lead_minutes is not None:
        row.lead_minutes = wanted.lead_minutes
    if wanted.teardown_seconds is not None:
        row.teardown_seconds = wanted.teardown_seconds
    if wanted.stranger_level is not None:
        row.stranger_level = wanted.stranger_level
    if row.provisioner is None:
        if row.settings:
            raise Invalid({"settings": ["mean nothing without a provisioner"]})
        row.pledges = row.may_change_pledges = False
        return
    try:
        ports = examine(Setup(row.id, row.name, row.provisioner, row.settings or {}))
    except SettingsFault as error:
        faults = {_path(name): [fault] for name, fault in error.faults.items()}
        raise Invalid(faults) from None
    row.pledges = ports.pledges is not None
    row.may_change_pledges = ports.pledges is not None and ports.pledges.may_change


def _path(name: str) -> str:
    return name if name == "provisioner" else f"settings.{name}"


def _is_in_use(session: Session, platform_id: str) -> bool:
    clusters = exists().where(Cluster.platform_id == platform_id, Cluster.phase.not_in(_OVER))
    pledges = exists().where(Pledge.platform_id == platform_id, Pledge.phase != PledgePhase.RELEASED)
    return bool(session.scalar(select(clusters | pledges)))


def find(session: Session, name: str) -> Platform:
    """One platform, by id or name.

    :raises NotFound: if there is none.
    """
    query = select(Platform).where((Platform.id == name) | (Platform.name == name)).options(*_FULL)
    row = session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("platform", name)
    return row


def first_pool(session: Session, platform_id: str) -> str | None:
    """The pool that was made first on a platform: in it count its hosts, and what strangers reserve."""
    query = select(Pool.id).where(Pool.platform_id == platform_id).order_by(Pool.created_at, Pool.id)
    return session.scalar(query.limit(1))


def pledges(ctx: Context, actor: Actor, name: str) -> Sequence[Pledge]:
    """What a platform has set aside, or shall set aside, by the start of the reservations.

    :raises NotFound: if there is no such platform.
    """
    actor.require("admin")

    def read(session: Session) -> Sequence[Pledge]:
        query = (
            select(Pledge)
            .join(Pledge.reservation)
            .where(Pledge.platform_id == find(session, name).id, Pledge.phase != PledgePhase.RELEASED)
            .order_by(Reservation.start, Reservation.id)
            .options(contains_eager(Pledge.reservation).lazyload("*"))
        )
        return session.scalars(query).all()

    return ctx.db.read("pledges", read)


@dataclass(frozen=True)
class Overview:
    """A platform as an administrator looks at it."""

    row: Platform
    hosts: Sequence[Host]
    pledges: Sequence[Pledge]
    """The first of those that are not over."""
    strangers: Sequence[Stranger]
    """The same of what others have reserved there."""


_SHOWN = 50


def overview(ctx: Context, actor: Actor, name: str) -> Overview:
    """How a platform fares, what hosts it has, and what it has set aside.

    :raises NotFound: if there is no such platform.
    """
    row = platform(ctx, actor, name)
    query = select(Host).where(Host.platform_id == row.id).order_by(Host.name)
    others = (
        select(Stranger)
        .where(Stranger.platform_id == row.id, Stranger.end > floor_minute(ctx.clock.now()))
        .order_by(Stranger.start, Stranger.id)
        .limit(_SHOWN)
    )

    def read(session: Session) -> tuple[Sequence[Host], Sequence[Stranger]]:
        return session.scalars(query).all(), session.scalars(others).all()

    hosts, strangers = ctx.db.read("hosts and strangers", read)
    return Overview(row, hosts, pledges(ctx, actor, row.id)[:_SHOWN], strangers)


def setups(ctx: Context) -> list[Setup]:
    """The platforms that make clusters by themselves, by name."""
    query = (
        select(Platform.id, Platform.name, Platform.provisioner, Platform.settings)
        .where(Platform.provisioner.is_not(None))
        .order_by(Platform.name, Platform.id)
    )
    rows = ctx.db.read("platforms by themselves", lambda session: session.execute(query).all())
    return [Setup(row.id, row.name, row.provisioner, row.settings or {}) for row in rows]


def setup(ctx: Context, platform_id: str) -> Setup:
    """How one platform is spoken to; without a provisioner, by none."""
    query = (Platform.id, Platform.name, Platform.provisioner, Platform.settings)
    row = ctx.db.read(
        "platform by id", lambda s: s.execute(select(*query).where(Platform.id == platform_id)).one()
    )
    return Setup(row.id, row.name, row.provisioner or "", row.settings or {})


def for_inquiries(ctx: Context, actor: Actor, name: str) -> Setup:
    """How a platform is spoken to, by its id or name, for who asks in its name.

    :raises NotFound: if there is none.
    """
    actor.require(STRANGERS)
    row = ctx.db.read("platform that inquires", lambda session: find(session, name))
    return Setup(row.id, row.name, row.provisioner or "", row.settings or {})


def note_fault(ctx: Context, platform_id: str, fault: str | None) -> None:
    """Write why a platform does not answer as it should; None when it does again."""

    def write(session: Session) -> None:
        row = session.get_one(Platform, platform_id, options=_FULL)
        if (fault is None) != (row.fault is None):
            row.fault_since = None if fault is None else ctx.clock.now()
            action = "platform.heals" if fault is None else "platform.fails"
            ctx.journal(session, None, action, f"platform:{platform_id}", name=row.name, fault=fault)
        row.fault = fault and fault[:500]

    ctx.db.run("note platform", write)
