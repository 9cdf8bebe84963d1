"""Clusters: each look compares what is wanted with what is outside, and takes one step towards it.

A step writes down what it is about to do, does it outside any transaction, and writes down what it saw;
killed anywhere, the next look goes on from there. Every transaction checks the leadership's epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from booking import together
from booking.adapters.base import (
    ClusterSpec,
    ClusterState,
    Observed,
    PlatformFault,
    Provisioner,
    ProvisionerError,
)
from booking.allocator.lifecycle import LIVE, State
from booking.models import (
    Account,
    Booking,
    Cluster,
    ClusterPhase,
    Platform,
    Pledge,
    PledgePhase,
    Pool,
    Reservation,
    Verdict,
)
from booking.models.store import columns_of, loaded
from booking.services import pausing, transitions
from booking.services.context import Context
from booking.services.leadership import still_leading
from booking.services.ledger import lock_pool
from booking.services.work import back_off

GRACE = timedelta(seconds=2)
"""What running programs get between the polite and the final signal."""
_OPEN = (ClusterPhase.WANTED, ClusterPhase.STARTING, ClusterPhase.READY, ClusterPhase.STOPPING)
_SOON = timedelta(seconds=1)
_MOST_PATIENCE = timedelta(minutes=1)
_SETTLED = timedelta(minutes=10)
"""After so long a cluster has come up well, and the attempts to make it are forgotten."""
BATCH = 50
_DUE_ANYWHERE = (
    select(Cluster.reservation_id)
    .where(Cluster.phase.in_(_OPEN), Cluster.look_at <= bindparam("now"))
    .order_by(Cluster.look_at, Cluster.reservation_id)
    .limit(BATCH)
)
_DUE = _DUE_ANYWHERE.where(Cluster.platform_id.is_(None))
_PLEDGES = exists().where(Platform.id == Cluster.platform_id, Platform.pledges.is_(True))
_DUE_AT_PLATFORM = (
    _DUE_ANYWHERE.outerjoin(Pledge, Pledge.reservation_id == Cluster.reservation_id)
    .where(Cluster.platform_id == bindparam("platform"))
    # Where the platform pledges, a cluster is made in its pledge, once that is active.
    .where(or_(Cluster.phase != ClusterPhase.WANTED, Pledge.phase == PledgePhase.ACTIVE, ~_PLEDGES))
)
_POOL = select(Reservation.pool_id).where(Reservation.id == bindparam("reservation"))
_CLUSTER = (
    select(*columns_of(Cluster), *columns_of(Reservation))
    .join_from(Cluster, Reservation, Reservation.id == Cluster.reservation_id)
    .where(Cluster.reservation_id == bindparam("reservation"))
)
_BOOKED = (
    _CLUSTER.add_columns(*columns_of(Booking), *columns_of(Account))
    .join(Booking, Booking.id == Reservation.booking_id)
    .join(Account, Account.id == Booking.account_id)
)


def converge(ctx: Context, epoch: int, provisioner: Provisioner, platform_id: str | None = None) -> int:
    """Look at every cluster of a platform whose time has come and take one step with each; how many were looked at.

    Without a platform, at those that the installation makes by itself. What waits for a pledge is not looked at.

    :raises Deposed: if somebody else leads by now.
    :raises PlatformFault: if the outside as a whole does not answer as it should; what was not looked at stays due.
    """
    asked = {"now": ctx.clock.now()} | ({} if platform_id is None else {"platform": platform_id})
    query = _DUE if platform_id is None else _DUE_AT_PLATFORM
    due = ctx.db.read("clusters to look at", lambda session: together.rows(session, query, asked))
    for row in due:
        _step(ctx, epoch, provisioner, row.reservation_id)
    return len(due)


def _step(ctx: Context, epoch: int, provisioner: Provisioner, reservation_id: str) -> None:
    phase, spec = ctx.db.run("look", lambda session: _wanted(ctx, session, epoch, reservation_id))
    try:
        seen = _touch_outside(provisioner, phase, spec)
    except PlatformFault as error:
        fault = str(error)
        ctx.db.run("put off", lambda session: _put_off(ctx, session, epoch, reservation_id, fault))
        raise
    except ProvisionerError as error:
        fault, transient = str(error), error.transient

        def note(session: Session) -> None:
            cluster, pool = _locked(ctx, session, epoch, reservation_id)
            _note_fault(ctx, session, pool, cluster, fault, transient=transient)

        ctx.db.run("note fault", note)
        return

    def write(session: Session) -> None:
        cluster, pool = _locked(ctx, session, epoch, reservation_id)
        if cluster.phase is phase:  # otherwise it was cancelled or changed meanwhile: the next look decides
            _SEEN[phase](ctx, session, pool, cluster, seen)

    ctx.db.run("note look", write)


def _wanted(
    ctx: Context, session: Session, epoch: int, reservation_id: str
) -> tuple[ClusterPhase, ClusterSpec]:
    still_leading(ctx, session, epoch)
    (found,) = together.rows(session, _BOOKED, {"reservation": reservation_id})
    cluster, booking = _of(session, found), loaded(session, Booking, found)
    set_committed_value(booking, "account", loaded(session, Account, found))
    set_committed_value(cluster.reservation, "booking", booking)
    spec = spec_of(cluster.reservation)
    if cluster.platform_id is not None:
        pledge = session.get(Pledge, reservation_id)
        spec = replace(spec, binding=pledge.binding if pledge is not None else {})
    return cluster.phase, spec


def _locked(ctx: Context, session: Session, epoch: int, reservation_id: str) -> tuple[Cluster, Pool]:
    still_leading(ctx, session, epoch)
    (found,) = together.rows(session, _POOL, {"reservation": reservation_id})
    pool = lock_pool(session, found.pool_id)
    # All that may change is read under the lock.
    (found,) = together.rows(session, _CLUSTER, {"reservation": reservation_id})
    return _of(session, found), pool


def _of(session: Session, row: Any) -> Cluster:
    """The cluster of a row, with its reservation."""
    cluster, reservation = loaded(session, Cluster, row), loaded(session, Reservation, row)
    set_committed_value(reservation, "cluster", cluster)
    set_committed_value(cluster, "reservation", reservation)
    return cluster


def spec_of(reservation: Reservation) -> ClusterSpec:
    """What to make for a reservation."""
    booking: Booking = reservation.booking
    return ClusterSpec(
        reservation_id=reservation.id,
        booking_id=booking.id,
        owner=booking.account.name,
        package=booking.package_name,
        notebook_cores=booking.notebook_cores,
        notebook_memory_mib=booking.notebook_memory_mib,
        worker_cores=booking.worker_cores,
        worker_memory_mib=booking.worker_memory_mib,
        worker_count=booking.worker_count,
        starts_at=reservation.start,
        ends_at=reservation.end,
        notebook_url=booking.notebook_url,
        revision=reservation.revision,
    )


def _touch_outside(provisioner: Provisioner, phase: ClusterPhase, spec: ClusterSpec) -> Observed:
    """The one place where a cluster is made, extended or destroyed; then a look at what is there."""
    seen = provisioner.observe(spec.reservation_id)
    if phase is ClusterPhase.STOPPING:
        if seen.state is ClusterState.ABSENT:
            return seen
        provisioner.teardown(spec.reservation_id, grace=GRACE)
        after = provisioner.observe(spec.reservation_id)
        # It was there a moment ago: only a look that finds nothing from the first counts as one.
        return Observed(ClusterState.STOPPING) if after.state is ClusterState.ABSENT else after
    if phase is ClusterPhase.WANTED:
        if seen.state is ClusterState.STOPPING:  # an earlier one of this reservation goes first
            provisioner.teardown(spec.reservation_id, grace=GRACE)
        else:
            provisioner.provision(spec)
        return provisioner.observe(spec.reservation_id)
    runs = seen.state in (ClusterState.STARTING, ClusterState.READY)
    if runs and seen.ends_at is not None and seen.ends_at != spec.ends_at:
        provisioner.extend(spec.reservation_id, spec.ends_at)
    return seen


def _seen_starting(ctx: Context, session: Session, pool: Pool, cluster: Cluster, seen: Observed) -> None:
    if seen.state is ClusterState.READY:
        _note_ready(ctx, session, pool, cluster, seen)
    elif cluster.phase is ClusterPhase.WANTED and seen.state is ClusterState.STOPPING:
        cluster.look_at = ctx.clock.now() + _SOON
    elif seen.state is ClusterState.STARTING:
        _note_starting(ctx, session, pool, cluster, seen)
    else:
        _lost(ctx, session, pool, cluster, seen.detail or "it ended while it was being made")


def _note_starting(ctx: Context, session: Session, pool: Pool, cluster: Cluster, seen: Observed) -> None:
    now = ctx.clock.now()
    if cluster.phase is ClusterPhase.WANTED:
        transitions.set_phase(ctx, cluster, ClusterPhase.STARTING, seen.detail or "The cluster is starting.")
    elif cluster.changed_at + timedelta(seconds=ctx.settings.provision_seconds) <= now:
        _lost(ctx, session, pool, cluster, f"it was not ready within {ctx.settings.provision_seconds:g} s")
        return
    cluster.detail = seen.detail or cluster.detail
    cluster.look_at = now + _SOON


def _note_ready(ctx: Context, session: Session, pool: Pool, cluster: Cluster, seen: Observed) -> None:
    now, reservation = ctx.clock.now(), cluster.reservation
    if cluster.phase is not ClusterPhase.READY:
        transitions.set_phase(ctx, cluster, ClusterPhase.READY, "The cluster is ready.")
        cluster.ready_at = now
        ctx.journal(
            session, None, "cluster.ready", f"booking:{reservation.booking_id}", reservation=reservation.id
        )
    cluster.endpoints = [asdict(endpoint) for endpoint in seen.endpoints]
    if reservation.state is State.PREPARING and reservation.start <= now:
        transitions.move_all(ctx, session, pool, [reservation], State.ACTIVE)
    next_look = now + timedelta(seconds=ctx.settings.reconcile_seconds)
    cluster.look_at = next_look if reservation.state is State.ACTIVE else min(next_look, reservation.start)


def _seen_ready(ctx: Context, session: Session, pool: Pool, cluster: Cluster, seen: Observed) -> None:
    if seen.state is ClusterState.READY:
        _note_ready(ctx, session, pool, cluster, seen)
    else:
        _lost(ctx, session, pool, cluster, seen.detail or "it is no longer there")


def _seen_stopping(ctx: Context, session: Session, pool: Pool, cluster: Cluster, seen: Observed) -> None:
    """Gone is said only after the outside has shown nothing, twice."""
    now, reservation = ctx.clock.now(), cluster.reservation
    if seen.state is not ClusterState.ABSENT:
        cluster.absent_at = None
        cluster.look_at = now + _SOON
        cluster.detail = seen.detail or cluster.detail
        return
    if cluster.absent_at is None:
        cluster.absent_at = now
        cluster.look_at = now
        return
    cluster.endpoints = []
    outcome = reservation.outcome or State.ENDED
    failed = outcome is State.FAILED
    phase = ClusterPhase.FAILED if failed else ClusterPhase.GONE
    transitions.set_phase(ctx, cluster, phase, cluster.detail if failed else "The cluster is gone.")
    transitions.move_all(ctx, session, pool, [reservation], outcome)


_SEEN: dict[ClusterPhase, Callable[[Context, Session, Pool, Cluster, Observed], None]] = {
    ClusterPhase.WANTED: _seen_starting,
    ClusterPhase.STARTING: _seen_starting,
    ClusterPhase.READY: _seen_ready,
    ClusterPhase.STOPPING: _seen_stopping,
}


def _lost(ctx: Context, session: Session, pool: Pool, cluster: Cluster, why: str) -> None:
    """Make the cluster again while attempts and time remain; else end the reservation as failed."""
    now, reservation = ctx.clock.now(), cluster.reservation
    if reservation.end <= now and reservation.state is State.ACTIVE:
        # It knows its end and goes by itself; a scheduler that comes late finds nothing.
        transitions.begin_ending(ctx, session, pool, reservation, reason=transitions.AT_ITS_END)
        return
    if cluster.phase is ClusterPhase.READY and cluster.changed_at < now - _SETTLED:
        cluster.attempts = 0  # it ran well: this is a new misfortune
    cluster.attempts += 1
    subject = f"booking:{reservation.booking_id}"
    ctx.journal(session, None, "cluster.lost", subject, reservation=reservation.id, why=why)
    if cluster.attempts >= ctx.settings.provision_attempts or reservation.end <= now:
        _fail(ctx, session, pool, cluster, why)
        return
    if reservation.state is State.ACTIVE:
        transitions.move_all(ctx, session, pool, [reservation], State.PREPARING)
    tries = f"attempt {cluster.attempts + 1} of {ctx.settings.provision_attempts}"
    transitions.set_phase(ctx, cluster, ClusterPhase.WANTED, f"Being made again ({tries}): {why}.")
    cluster.endpoints = []
    cluster.look_at = now + back_off(cluster.attempts)


def _note_fault(
    ctx: Context, session: Session, pool: Pool, cluster: Cluster, fault: str, *, transient: bool
) -> None:
    """The outside refused: try later; give up making after so many times, never give up ending."""
    if cluster.phase in (ClusterPhase.WANTED, ClusterPhase.STARTING):
        if not transient:
            cluster.attempts = ctx.settings.provision_attempts
        _lost(ctx, session, pool, cluster, fault)
        return
    # `attempts` counts how often it was made: failed looks at one that runs for weeks must not use them up.
    cluster.detail = f"The provisioner does not answer as it should, and is asked again: {fault}"
    cluster.look_at = ctx.clock.now() + _patience(ctx, cluster)


def _put_off(ctx: Context, session: Session, epoch: int, reservation_id: str, fault: str) -> None:
    """It says nothing about this cluster; but if it always comes here, the others must not wait for it."""
    cluster, _ = _locked(ctx, session, epoch, reservation_id)
    cluster.detail = f"The platform does not answer as it should, and is asked again: {fault}"[:500]
    cluster.look_at = ctx.clock.now() + _patience(ctx, cluster)


def _patience(ctx: Context, cluster: Cluster) -> timedelta:
    """When to ask again: as often as ever while it runs; while it ends after twice the time, up to a minute."""
    if cluster.phase is ClusterPhase.READY:
        return timedelta(seconds=min(10.0, ctx.settings.reconcile_seconds))
    return min(max(ctx.clock.now() - cluster.changed_at, 2 * _SOON), _MOST_PATIENCE)


def _fail(ctx: Context, session: Session, pool: Pool, cluster: Cluster, why: str) -> None:
    reservation = cluster.reservation
    reservation.outcome = State.FAILED
    transitions.begin_ending(ctx, session, pool, reservation, reason=why)
    cluster.detail = f"The cluster could not be kept: {why}."


def sweep(ctx: Context, epoch: int, provisioner: Provisioner) -> frozenset[str]:
    """Tear down everything outside that belongs to no live reservation; what was torn down.

    The outside is listed before the rows are read: whatever is made after that has its row already. So many
    that no row knows pause the scheduler instead: the database may not be the one that made them.

    :raises Deposed: if somebody else leads by now.
    """
    found = provisioner.inventory()
    if not found:
        return frozenset()
    orphans = ctx.db.run("live reservations", lambda session: _orphans(ctx, session, epoch, found))
    for reservation_id in sorted(orphans):
        provisioner.teardown(reservation_id, grace=GRACE)
    return orphans


def _orphans(ctx: Context, session: Session, epoch: int, found: frozenset[str]) -> frozenset[str]:
    still_leading(ctx, session, epoch)
    known, judged = pausing.states(session, found), pausing.verdicts(session, found)
    strays = found - known.keys() - judged.keys()
    if pausing.is_suspicious(session, found, strays):
        many = f"{len(strays)} of {len(found)} clusters outside are known to no row of this database"
        pausing.hold(ctx, session, many)
        return frozenset()
    live = {name for name, state in known.items() if state in LIVE}
    return found - live - {name for name, verdict in judged.items() if verdict is Verdict.KEEP}


def look_again(ctx: Context, now: datetime) -> None:
    """Look at every open cluster at the next step: called when a scheduler begins to lead."""

    def write(session: Session) -> None:
        for cluster in session.scalars(select(Cluster).where(Cluster.phase.in_(_OPEN))):
            cluster.look_at = min(cluster.look_at, now)

    ctx.db.run("look again", write)
