"""Mistakes in making clusters: work, leadership, and the order of what is written and what is done."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.adapters.base import ClusterSpec, ClusterState, Observed, Provisioner, ProvisionerError
from booking.adapters.null import Event, NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.span import floor_minute
from booking.models import Action, Cluster, ClusterPhase, Leadership, Pool, Reservation, Work
from booking.scheduler import Scheduler
from booking.services import clusters, leadership, transitions, work
from booking.services.context import Context
from booking.services.ledger import lock_pool
from tests.trust.bugs.planting import Spade, bug

_touch = clusters._touch_outside


@bug
def work_at_most_once(spade: Spade) -> None:
    """Work is marked as done before it is done."""
    act = work._act

    def do(ctx: Context, epoch: int, work_id: str, provisioner: str) -> None:
        def mark(session: Session) -> None:
            leadership.still_leading(ctx, session, epoch)
            session.get_one(Work, work_id).done_at = ctx.clock.now()

        def late(session: Session) -> None:
            session.get_one(Work, work_id).done_at = None
            session.flush()
            act(ctx, session, epoch, work_id, provisioner)

        ctx.db.run("work", mark)
        ctx.db.run("work", late)

    spade.plant(work, "_do", do)


@bug
def work_of_an_old_revision_still_done(spade: Spade) -> None:
    """Work is done although the span that it was written for has changed."""

    def act(ctx: Context, session: Session, epoch: int, work_id: str, provisioner: str) -> None:
        leadership.still_leading(ctx, session, epoch)
        due = session.get_one(Work, work_id)
        reservation = session.get_one(Reservation, due.reservation_id)
        pool = lock_pool(session, reservation.pool_id)
        if due.done_at is None:
            work._ACTS[due.action](ctx, session, pool, reservation, provisioner)
            due.done_at = ctx.clock.now()

    spade.plant(work, "_act", act)


@bug
def no_inventory_sweep(spade: Spade) -> None:
    """Only what the rows speak of is looked at; what else is outside stays there."""
    spade.plant(clusters, "sweep", lambda *_: frozenset())


@bug
def sweep_tears_down_live_clusters(spade: Spade) -> None:
    """The sweep takes a cluster whose span has not begun for one that belongs to nobody."""
    spade.plant(clusters, "LIVE", frozenset({State.ACTIVE, State.ENDING}))


@bug
def delete_not_repeated(spade: Spade) -> None:
    """One call to destroy a cluster is taken for its end, whatever became of it."""
    told: defaultdict[str, int] = defaultdict(int)

    def touch(provisioner: Provisioner, phase: ClusterPhase, spec: ClusterSpec) -> Observed:
        if phase is not ClusterPhase.STOPPING:
            return _touch(provisioner, phase, spec)
        told[spec.reservation_id] += 1
        if told[spec.reservation_id] == 1:
            try:
                provisioner.teardown(spec.reservation_id, grace=timedelta(0))
            except ProvisionerError:
                return Observed(ClusterState.ABSENT)
        return Observed(ClusterState.ABSENT)

    spade.plant(clusters, "_touch_outside", touch)


@bug
def gone_at_the_first_look(spade: Spade) -> None:
    """One look that finds nothing is enough."""
    seen = clusters._seen_stopping

    def once(ctx: Context, session: Session, pool: Pool, cluster: Cluster, found: Observed) -> None:
        cluster.absent_at = ctx.clock.now()
        seen(ctx, session, pool, cluster, found)

    table = {**clusters._SEEN, ClusterPhase.STOPPING: once}
    spade.plant(clusters, "_SEEN", table)


@bug
def duplicates_made(spade: Spade) -> None:
    """The provisioner does not look whether the cluster is there before it makes one."""

    def provision(self: NullProvisioner, spec: ClusterSpec) -> None:
        with self._effect("provision", spec.reservation_id):
            now = self._clock.now()
            record = {
                "spec": spec.as_json(),
                "ends_at": spec.ends_at.isoformat(),
                "ready_at": now.isoformat(),
            }
            self._outside.write(spec.reservation_id, record | {"half_made": False})
            self._outside.append(Event("created", spec.reservation_id, now))

    spade.plant(NullProvisioner, "provision", provision)


@bug
def made_before_it_is_written(spade: Spade) -> None:
    """The cluster is made first, and the row that says so is written after it."""
    pass_ = Scheduler._pass

    def eager(self: Scheduler, epoch: int) -> bool:
        now = self._ctx.clock.now()

        def due(session: Session) -> list[ClusterSpec]:
            wanted = select(Reservation).join(Work, Work.reservation_id == Reservation.id)
            wanted = wanted.where(Work.action == Action.PROVISION, Work.done_at.is_(None), Work.due_at <= now)
            wanted = wanted.where(Reservation.state == State.CONFIRMED, Reservation.end > floor_minute(now))
            return [clusters.spec_of(reservation) for reservation in session.scalars(wanted)]

        for spec in self._ctx.db.read("due work", due):
            try:
                self._provisioner.provision(spec)
            except ProvisionerError:
                continue
        return pass_(self, epoch)

    spade.plant(Scheduler, "_pass", eager)


@bug
def made_within_the_transaction(spade: Spade) -> None:
    """The cluster is made while the transaction that wants it is still open."""
    original = work._provision
    pass_ = Scheduler._pass
    present: list[Provisioner] = []

    def provision(ctx: Context, session: Session, pool: Pool, reservation: Reservation, name: str) -> None:
        original(ctx, session, pool, reservation, name)
        if reservation.state is State.PREPARING:
            present[-1].provision(clusters.spec_of(reservation))

    def noting(self: Scheduler, epoch: int) -> bool:
        present.append(self._provisioner)
        return pass_(self, epoch)

    spade.plant(work, "_ACTS", {**work._ACTS, Action.PROVISION: provision})
    spade.plant(Scheduler, "_pass", noting)


@bug
def no_check_of_the_epoch(spade: Spade) -> None:
    """A scheduler that was deposed goes on."""
    spade.plant_everywhere((clusters, work), "still_leading", lambda *_: None)


@bug
def epoch_not_advanced_at_take_over(spade: Spade) -> None:
    """A new leader has the epoch of the old one, so that both pass the check."""
    lead = leadership.lead

    def same(ctx: Context, holder: str) -> int | None:
        epoch = lead(ctx, holder)
        if epoch is not None and epoch > 1:

            def undo(session: Session) -> None:
                session.get_one(Leadership, leadership.SCHEDULER).epoch = 1

            ctx.db.run("lead", undo)
        return None if epoch is None else 1

    spade.plant(leadership, "lead", same)


@bug
def active_before_its_start(spade: Spade) -> None:
    """A cluster that is ready early makes its reservation active at once."""
    ready = clusters._note_ready

    def note(ctx: Context, session: Session, pool: Pool, cluster: Cluster, seen: Observed) -> None:
        ready(ctx, session, pool, cluster, seen)
        if cluster.reservation.state is State.PREPARING:
            transitions.move_all(ctx, session, pool, [cluster.reservation], State.ACTIVE)

    spade.plant(clusters, "_note_ready", note)


@bug
def extension_not_told_outside(spade: Spade) -> None:
    """The cluster keeps the end that it was made with, and ends while it is still booked."""

    def touch(provisioner: Provisioner, phase: ClusterPhase, spec: ClusterSpec) -> Observed:
        if phase in (ClusterPhase.WANTED, ClusterPhase.STOPPING):
            return _touch(provisioner, phase, spec)
        return provisioner.observe(spec.reservation_id)

    spade.plant(clusters, "_touch_outside", touch)


@bug
def a_lost_cluster_is_not_noticed(spade: Spade) -> None:
    """What runs once is thought to run for ever."""

    def ready(ctx: Context, session: Session, pool: Pool, cluster: Cluster, seen: Observed) -> None:
        clusters._note_ready(ctx, session, pool, cluster, seen)

    spade.plant(clusters, "_SEEN", {**clusters._SEEN, ClusterPhase.READY: ready})


@bug
def a_dead_scheduler_is_never_followed(spade: Spade) -> None:
    """The leadership of somebody who died never lapses."""
    lead = leadership.lead

    def never(ctx: Context, holder: str) -> Any:
        other = ctx.db.read("lead", lambda session: session.get(Leadership, leadership.SCHEDULER))
        return None if other is not None and other.holder != holder else lead(ctx, holder)

    spade.plant(leadership, "lead", never)
