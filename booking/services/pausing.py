"""The pause: the scheduler leads, but makes and ends nothing outside until somebody lets it go on.

A restored database begins paused, and the sweep pauses itself before it would end too much: both times the
database may be older than what runs outside.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from booking import together
from booking.adapters.base import Provisioner, ProvisionerError, SettingsFault
from booking.allocator.lifecycle import State
from booking.errors import Conflict
from booking.models import Cluster, ClusterPhase, Pause, Platform, Reservation, Stray, Verdict
from booking.services.context import Context
from booking.services.platforms import Examine, Setup

_STANDING = (ClusterPhase.STARTING, ClusterPhase.READY)
"""The phases in which something should be seen outside."""
_SHOWN = 20
_BY_THEMSELVES = select(Platform.id).where(Platform.provisioner.is_not(None)).limit(1)


@dataclass(frozen=True)
class Outside:
    """A platform that makes clusters by itself, to be compared with the rows."""

    setup: Setup
    examine: Examine

    def listed(self) -> Found:
        """Its clusters, and with them whatever it has set aside.

        :raises ProvisionerError: if it does not tell.
        :raises SettingsFault: if nobody knows how to ask it.
        """
        ports = self.examine(self.setup)
        clusters = ports.provisioner.inventory()
        pledges = ports.pledges.look() if ports.pledges is not None else ()
        return Found(self.setup.id, clusters, clusters.union(pledges))


@dataclass(frozen=True)
class Found:
    """What one outside lists, as reservation ids."""

    platform_id: str | None
    """None is what the installation itself makes clusters with."""
    clusters: frozenset[str]
    all: frozenset[str]
    """The clusters, and the pledges."""


@dataclass(frozen=True)
class Difference:
    """What is outside and not in the rows, and the reverse; reservation ids, sorted."""

    strays: tuple[str, ...]
    """Clusters and pledges that no row knows and nobody has judged yet."""
    missing: tuple[str, ...]
    """Clusters that stand in the rows and not outside."""
    unlisted: tuple[str, ...] = ()
    """The platforms that could not be asked, each with why; nothing is said of what they have."""

    def __str__(self) -> str:
        said = f"{_listed(self.strays, 'known to no row')}; {_listed(self.missing, 'missing outside')}"
        return "; ".join([said, *(f"not compared: {fault}" for fault in self.unlisted)])


_WHY = select(Pause.reason)


def reason(ctx: Context) -> str | None:
    """Why the scheduler is paused; None while it works."""
    found = ctx.db.read("is paused", lambda session: together.rows(session, _WHY, {}))
    return found[0].reason if found else None


def hold(ctx: Context, session: Session, why: str) -> None:
    """Pause in the transaction of the cause; the first reason stays."""
    if session.get(Pause, 1) is None:
        session.add(Pause(id=1, reason=why, paused_at=ctx.clock.now()))
        ctx.journal(session, None, "scheduler.paused", "scheduler:all", reason=why)


def pause(ctx: Context, why: str) -> None:
    """Let the scheduler make and end nothing from now on."""
    ctx.db.run("pause", lambda session: hold(ctx, session, why))


def resume(ctx: Context, verdict: Verdict | None, strays: Collection[str]) -> None:
    """Let the scheduler go on, and do with these strays as is said.

    :raises Conflict: if there are strays and nothing is said about them.
    """
    if strays and verdict is None:
        raise Conflict(
            f"{len(strays)} clusters outside are known to no row: say whether to end or to keep them."
        )

    def act(session: Session) -> None:
        if verdict is not None:
            judge(session, verdict, strays, ctx.clock.now())
        if session.scalar(select(Pause.id)) is not None:
            session.execute(delete(Pause))
            said = verdict.value if strays and verdict else None
            ctx.journal(session, None, "scheduler.resumed", "scheduler:all", strays=len(strays), verdict=said)

    ctx.db.run("resume", act)


def judge(session: Session, verdict: Verdict, strays: Collection[str], now: datetime) -> None:
    """Write what shall become of strays."""
    session.execute(delete(Stray).where(Stray.reservation_id.in_(strays)))
    session.add_all(Stray(reservation_id=name, verdict=verdict, judged_at=now) for name in sorted(strays))


def verdicts(session: Session, found: Collection[str]) -> dict[str, Verdict]:
    """What was said about the clusters found outside; what is no longer outside is forgotten.

    Where platforms make clusters by themselves nothing is: one of them does not know what the others have.
    """
    if session.scalar(_BY_THEMSELVES) is None:
        for row in [row for row in session.scalars(select(Stray)) if row.reservation_id not in found]:
            session.delete(row)
    return judged(session, found)


def judged(session: Session, found: Collection[str]) -> dict[str, Verdict]:
    """The same, and nothing is changed."""
    query = select(Stray.reservation_id, Stray.verdict).where(Stray.reservation_id.in_(found))
    return {row.reservation_id: row.verdict for row in session.execute(query)}


def states(session: Session, found: Collection[str]) -> dict[str, State]:
    """The states of those reservations that this database knows."""
    query = select(Reservation.id, Reservation.state).where(Reservation.id.in_(found))
    return {row.id: row.state for row in session.execute(query)}


def difference(
    ctx: Context, provisioner: Provisioner | None, platforms: Sequence[Outside] = ()
) -> Difference:
    """Compare the outside with the rows; nothing is changed.

    What the installation itself makes by `provisioner`, unless that is None, and the clusters and pledges of
    these platforms.

    :raises ProvisionerError: if what the installation itself makes cannot be listed.
    """
    found, unlisted = list[Found](), list[str]()
    if provisioner is not None:
        own = provisioner.inventory()
        found.append(Found(None, own, own))
    for outside in platforms:
        try:
            found.append(outside.listed())
        except (ProvisionerError, SettingsFault) as error:
            unlisted.append(f"{outside.setup.name}: {error}")

    def read(session: Session) -> Difference:
        everything = frozenset[str]().union(*(one.all for one in found))
        strays = everything - states(session, everything).keys() - judged(session, everything).keys()
        missing = [name for one in found for name in _standing(session, one.platform_id) - one.clusters]
        return Difference(tuple(sorted(strays)), tuple(sorted(missing)), tuple(unlisted))

    return ctx.db.read("difference to the outside", read)


def _standing(session: Session, platform_id: str | None) -> set[str]:
    """The clusters that a platform should show."""
    query = select(Cluster.reservation_id).where(
        Cluster.phase.in_(_STANDING),
        Cluster.platform_id.is_(None) if platform_id is None else Cluster.platform_id == platform_id,
    )
    return set(session.scalars(query))


def is_suspicious(session: Session, found: Collection[str], strays: Collection[str]) -> bool:
    """Whether so many strays tell of a database that is not the one that made them.

    A cluster has its row before it is made, and rows stay: one stray may be a remnant, several are no accident.
    """
    if not strays:
        return False
    knows_nothing = session.scalar(select(Reservation.id).limit(1)) is None
    return knows_nothing or len(strays) > max(1.0, len(found) / 5)


def _listed(names: tuple[str, ...], what: str) -> str:
    if not names:
        return f"0 {what}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{more})"
