"""Pledges: what a platform shall set aside follows from the rows, and each round takes steps towards it.

A reservation on a platform that pledges is asked for as soon as it is confirmed, and asked for again whenever
its span changes; what is no longer counted is released. As with clusters, a step writes down what it is about
to do, does it outside any transaction, and writes down what it saw. Our ledger has decided long before: a
platform that refuses what we promised puts the reservation at risk, which is shown, and is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, and_, func, or_, select, update
from sqlalchemy.orm import Session

from booking.adapters.base import (
    ClusterSpec,
    NotEnough,
    PlatformFault,
    Pledged,
    Pledges,
    PledgeState,
    ProvisionerError,
)
from booking.allocator.lifecycle import FINAL, State
from booking.allocator.span import floor_minute
from booking.models import Pledge, PledgePhase, Pool, Reservation, Verdict
from booking.models.pledge import AT_RISK
from booking.services import capacity, pausing
from booking.services.clusters import spec_of
from booking.services.context import Context
from booking.services.leadership import still_leading
from booking.services.ledger import lock_pool
from booking.services.work import back_off

BATCH = 50
CLAIMING = frozenset({State.CONFIRMED, State.PREPARING, State.ACTIVE})
"""The states in which a platform shall have set aside what was promised; a hold is no promise yet."""
_SOON = timedelta(seconds=2)
_EARLY = timedelta(minutes=1)
"""So long before its start it is watched whether a pledge has become active."""
_PHASES = {PledgeState.PENDING: PledgePhase.PENDING, PledgeState.ACTIVE: PledgePhase.ACTIVE}


@dataclass(frozen=True)
class Lessor:
    """A platform that pledges, as this service knows it."""

    platform_id: str
    pledges: Pledges


def release_due(ctx: Context, epoch: int, lessor: Lessor) -> int:
    """Give back a batch of what is no longer needed; how many were seen to.

    :raises Deposed: if somebody else leads by now.
    :raises PlatformFault: if the platform as a whole does not answer as it should; what was not seen to stays due.
    """
    due = ctx.db.read("pledges to release", lambda session: session.scalars(_over(ctx, lessor)).all())
    for reservation_id in due:
        _release(ctx, epoch, lessor, reservation_id)
    return len(due)


def ask_due(ctx: Context, epoch: int, lessor: Lessor) -> int:
    """Ask for a batch of what is not set aside yet, those first that never failed; how many were seen to.

    :raises Deposed: if somebody else leads by now.
    :raises PlatformFault: if the platform as a whole does not answer as it should; what was not seen to stays due.
    """
    due = ctx.db.read("pledges to ask for", lambda session: session.scalars(_missing(ctx, lessor)).all())
    for reservation_id in due:
        _ask(ctx, epoch, lessor, reservation_id)
    return len(due)


def _missing(ctx: Context, lessor: Lessor) -> Select[str]:
    """Reservations for which the platform was not asked, not for this span, or in vain."""
    now = ctx.clock.now()
    again = and_(Pledge.phase.in_((PledgePhase.WANTED, PledgePhase.REFUSED)), Pledge.look_at <= now)
    return (
        select(Reservation.id)
        .join(Pool, Pool.id == Reservation.pool_id)
        .outerjoin(Pledge, Pledge.reservation_id == Reservation.id)
        .where(
            Pool.platform_id == lessor.platform_id,
            Reservation.state.in_(CLAIMING),
            Reservation.end > floor_minute(now),
            or_(Pledge.reservation_id.is_(None), Pledge.revision != Reservation.revision, again),
        )
        .order_by(func.coalesce(Pledge.attempts, 0), Reservation.start, Reservation.id)
        .limit(BATCH)
    )


def _over(ctx: Context, lessor: Lessor) -> Select[str]:
    """Those whose reservation is final: its cluster is gone, and nothing stands on what was set aside."""
    return (
        select(Pledge.reservation_id)
        .join(Reservation, Reservation.id == Pledge.reservation_id)
        .where(
            Pledge.platform_id == lessor.platform_id,
            Pledge.phase != PledgePhase.RELEASED,
            Pledge.look_at <= ctx.clock.now(),
            Reservation.state.in_(FINAL),
        )
        .order_by(Pledge.attempts, Pledge.look_at, Pledge.reservation_id)
        .limit(BATCH)
    )


def _ask(ctx: Context, epoch: int, lessor: Lessor, reservation_id: str) -> None:
    spec = ctx.db.run("want pledge", lambda session: _intend(ctx, session, epoch, lessor, reservation_id))
    if spec is None:
        return
    try:
        seen = lessor.pledges.pledge(spec)
    except ProvisionerError as error:
        _note_fault(ctx, epoch, reservation_id, error)
        if isinstance(error, PlatformFault):
            raise
        return

    def write(session: Session) -> None:
        pledge = _locked(ctx, session, epoch, reservation_id)
        if pledge.revision == spec.revision and pledge.phase is not PledgePhase.RELEASED:
            _note(ctx, session, pledge, seen)

    ctx.db.run("note pledge", write)


def _intend(
    ctx: Context, session: Session, epoch: int, lessor: Lessor, reservation_id: str
) -> ClusterSpec | None:
    """Write that it is wanted for the present span; None if it is not wanted any more."""
    still_leading(ctx, session, epoch)
    reservation, now = session.get_one(Reservation, reservation_id), ctx.clock.now()
    if reservation.state not in CLAIMING:
        return None
    pledge = session.get(Pledge, reservation_id)
    if pledge is None:
        pledge = Pledge(
            reservation_id=reservation_id,
            platform_id=lessor.platform_id,
            reference="",
            binding={},
            detail="The platform is about to be asked.",
            attempts=0,
            phase=PledgePhase.WANTED,
            revision=reservation.revision,
            changed_at=now,
            look_at=now,
        )
        session.add(pledge)
    elif pledge.revision != reservation.revision:
        pledge.revision, pledge.attempts = reservation.revision, 0
        _set(ctx, pledge, PledgePhase.WANTED, "The span has changed; the platform is about to be asked.")
    return spec_of(reservation)


def _note(ctx: Context, session: Session, pledge: Pledge, seen: Pledged) -> None:
    """Write what was seen of one that somebody still needs."""
    pledge.reference = seen.reference or pledge.reference
    pledge.look_at = ctx.clock.now() + _SOON
    if seen.state in _PHASES:
        _note_kept(ctx, session, pledge, seen)
    elif seen.state is PledgeState.BROKEN:
        _note_broken(ctx, session, pledge, seen)
    elif seen.state is not PledgeState.CHANGING and pledge.phase in _KEPT:
        _journal(ctx, session, pledge, "pledge.lost", seen.detail)
        _set(ctx, pledge, PledgePhase.WANTED, "It was gone from the platform, and is asked for again.")


def _note_kept(ctx: Context, session: Session, pledge: Pledge, seen: Pledged) -> None:
    phase = _PHASES[seen.state]
    if pledge.phase not in _KEPT:
        _journal(ctx, session, pledge, "pledge.made", seen.reference)
    was_at_risk = pledge.phase in AT_RISK
    if pledge.phase is not phase or pledge.binding != dict(seen.binding):
        _set(ctx, pledge, phase, seen.detail)
        pledge.look_at = ctx.clock.now() + _SOON
    pledge.binding, pledge.attempts = dict(seen.binding), 0
    if was_at_risk:
        session.flush()
        capacity.flag(ctx, session, lock_pool(session, pledge.reservation.pool_id))


def _note_broken(ctx: Context, session: Session, pledge: Pledge, seen: Pledged) -> None:
    """One on which nothing stands is asked for anew; under a cluster it is shown and left alone."""
    reservation = pledge.reservation
    if pledge.phase is not PledgePhase.BROKEN:
        _journal(ctx, session, pledge, "pledge.broken", seen.detail)
    stands = reservation.cluster is not None and reservation.state is State.ACTIVE
    phase = PledgePhase.BROKEN if stands else PledgePhase.WANTED
    if pledge.phase is not phase:
        _set(ctx, pledge, phase, seen.detail or "The platform cannot keep it.")
    pledge.look_at = ctx.clock.now() + back_off(pledge.attempts + 1)


_KEPT = (PledgePhase.PENDING, PledgePhase.ACTIVE, PledgePhase.BROKEN)


def _note_fault(ctx: Context, epoch: int, reservation_id: str, error: ProvisionerError) -> None:
    """The platform refused or could not be asked: ask later; it is never given up while time remains.

    Also what seems the platform's fault is put off: one answer that always fails must not hold up the others.
    """

    def write(session: Session) -> None:
        pledge = _locked(ctx, session, epoch, reservation_id)
        is_platforms = isinstance(error, PlatformFault)
        refused = isinstance(error, NotEnough) or not (error.transient or is_platforms)
        phase = PledgePhase.REFUSED if refused else pledge.phase
        if refused and pledge.phase is not PledgePhase.REFUSED:
            _journal(ctx, session, pledge, "pledge.refused", str(error))
        pledge.attempts += 1
        _set(ctx, pledge, phase, str(error))
        pledge.look_at = ctx.clock.now() + back_off(pledge.attempts)

    ctx.db.run("note pledge fault", write)


def _release(ctx: Context, epoch: int, lessor: Lessor, reservation_id: str) -> None:
    try:
        lessor.pledges.release(reservation_id)
    except ProvisionerError as error:
        _note_fault(ctx, epoch, reservation_id, error)
        if isinstance(error, PlatformFault):
            raise
        return

    def write(session: Session) -> None:
        pledge = _locked(ctx, session, epoch, reservation_id)
        _set(ctx, pledge, PledgePhase.RELEASED, "It was given back.")
        _journal(ctx, session, pledge, "pledge.released", pledge.reference)

    ctx.db.run("note release", write)


def must_look(ctx: Context, lessor: Lessor) -> bool:
    """Whether some pledge should be becoming active just now."""
    now = ctx.clock.now()
    query = (
        select(Pledge.reservation_id)
        .join(Reservation, Reservation.id == Pledge.reservation_id)
        .where(
            Pledge.platform_id == lessor.platform_id,
            Pledge.phase == PledgePhase.PENDING,
            Pledge.look_at <= now,
            Reservation.start <= floor_minute(now + _EARLY),
        )
        .limit(1)
    )
    return ctx.db.read("pledges to watch", lambda session: session.scalar(query)) is not None


def look(ctx: Context, epoch: int, lessor: Lessor) -> frozenset[str]:
    """Compare all pledges with the platform by one question; release what belongs to nobody, and tell which.

    What nobody knows is listed before the rows are read: whatever is made after that has its row already.

    :raises Deposed: if somebody else leads by now.
    :raises ProvisionerError: if the platform cannot be asked.
    """
    found = lessor.pledges.look()
    orphans = ctx.db.run("look at pledges", lambda session: _compare(ctx, session, epoch, lessor, found))
    for reservation_id in sorted(orphans):
        lessor.pledges.release(reservation_id)
    return orphans


def _compare(
    ctx: Context, session: Session, epoch: int, lessor: Lessor, found: Mapping[str, Pledged]
) -> frozenset[str]:
    still_leading(ctx, session, epoch)
    query = (
        select(Pledge, Reservation)
        .join(Reservation, Reservation.id == Pledge.reservation_id)
        .where(Pledge.platform_id == lessor.platform_id, Pledge.phase != PledgePhase.RELEASED)
    )
    now, known = ctx.clock.now(), set()
    for pledge, reservation in session.execute(query):
        known.add(pledge.reservation_id)
        seen = found.get(pledge.reservation_id, Pledged(PledgeState.ABSENT))
        current = seen.state is PledgeState.ABSENT or seen.revision == reservation.revision
        if reservation.state in CLAIMING and reservation.end > now and current:
            _note(ctx, session, pledge, seen)
    judged = pausing.judged(session, found)
    strays = frozenset(found) - pausing.states(session, found).keys() - judged.keys()
    if pausing.is_suspicious(session, found, strays):
        many = f"{len(strays)} of {len(found)} pledges outside are known to no row of this database"
        pausing.hold(ctx, session, many)
        return frozenset()
    # What stands in a pledge and shall run until its own end needs it.
    return frozenset(found) - known - {name for name, said in judged.items() if said is Verdict.KEEP}


def ask_again(ctx: Context, platform_id: str) -> None:
    """Ask again for everything of a platform at the next round: called when it answers again."""
    rows = update(Pledge).where(Pledge.platform_id == platform_id, Pledge.phase != PledgePhase.RELEASED)
    ctx.db.run("ask again", lambda session: session.execute(rows.values(look_at=ctx.clock.now())))


def _locked(ctx: Context, session: Session, epoch: int, reservation_id: str) -> Pledge:
    still_leading(ctx, session, epoch)
    return session.get_one(Pledge, reservation_id)


def _set(ctx: Context, pledge: Pledge, phase: PledgePhase, detail: str) -> None:
    now = ctx.clock.now()
    if pledge.phase is not phase:
        pledge.changed_at = now
    pledge.phase, pledge.look_at = phase, now
    pledge.detail = detail[:500]
    if phase in AT_RISK:
        pledge.reservation.at_risk = True
    if phase in (PledgePhase.WANTED, PledgePhase.RELEASED):
        pledge.binding = {}


def _journal(ctx: Context, session: Session, pledge: Pledge, action: str, detail: str) -> None:
    subject = f"booking:{pledge.reservation.booking_id}"
    ctx.journal(session, None, action, subject, reservation=pledge.reservation_id, detail=detail[:500])
