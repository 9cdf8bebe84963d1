"""What is read from the rows for the metrics: the same whichever process is asked, also where no scheduler runs."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from booking.errors import Unavailable
from booking.models import Cluster, ClusterPhase, Pause, Platform, Pledge, PledgePhase, Pool, Work
from booking.services import leadership
from booking.services.context import Context

log = logging.getLogger(__name__)
Reading = tuple[str, tuple[str, ...], float]
_PUT_OFF = timedelta(minutes=10)
"""What failed is put off by less; so what is due in months need not be looked at."""
_PLEDGED = tuple(phase for phase in PledgePhase if phase is not PledgePhase.RELEASED)
_PHASES = (ClusterPhase.WANTED, ClusterPhase.STARTING, ClusterPhase.READY, ClusterPhase.STOPPING)


def take(ctx: Context) -> list[Reading]:
    """Every reading of :data:`booking.metrics.READINGS` but the build; only that the database is away, if it is."""
    now = ctx.clock.now()
    try:
        found = ctx.db.read("readings", lambda session: _of_rows(session, now))
        found.append(("booking_scheduler_led", (), leadership.is_led(ctx)))
    except (Unavailable, SQLAlchemyError) as error:
        log.warning("the metrics lack what is read from the database: %s", error)
        return [("booking_database_up", (), 0)]
    return [("booking_database_up", (), 1), *found]


def _of_rows(session: Session, now: datetime) -> list[Reading]:
    undone = Work.done_at.is_(None)
    due, oldest = session.execute(
        select(func.count(), func.min(Work.due_at)).where(undone, Work.due_at <= now)
    ).one()
    put_off = select(func.count()).where(undone, Work.due_at <= now + _PUT_OFF, Work.attempts > 0)
    failing = session.scalar(put_off) or 0
    phases = select(Cluster.phase, func.count()).where(Cluster.phase.in_(_PHASES)).group_by(Cluster.phase)
    clusters = {row[0]: row[1] for row in session.execute(phases)}
    pools = session.execute(select(Pool.name, Pool.closed_reason.is_not(None)).order_by(Pool.name))
    answers = session.execute(
        select(Platform.name, Platform.fault.is_(None))
        .where(Platform.provisioner.is_not(None))
        .order_by(Platform.name)
    )
    paused = session.scalar(select(Pause.id)) is not None
    return [
        ("booking_work_due", (), due),
        ("booking_work_late_seconds", (), (now - oldest).total_seconds() if due else 0.0),
        ("booking_work_failing", (), failing),
        *(("booking_clusters", (phase.value,), clusters.get(phase, 0)) for phase in _PHASES),
        ("booking_scheduler_paused", (), paused),
        *(("booking_pool_closed", (name,), bool(closed)) for name, closed in pools),
        *(("booking_platform_answers", (name,), bool(well)) for name, well in answers),
        *_pledges(session),
    ]


def _pledges(session: Session) -> list[Reading]:
    """Also those phases in which there is none."""
    query = (
        select(Platform.name, Pledge.phase, func.count(Pledge.reservation_id))
        .outerjoin(Pledge, (Pledge.platform_id == Platform.id) & Pledge.phase.in_(_PLEDGED))
        .where(Platform.pledges.is_(True))
        .group_by(Platform.name, Pledge.phase)
        .order_by(Platform.name)
    )
    found = {(name, phase): count for name, phase, count in session.execute(query)}
    return [
        ("booking_pledges", (name, phase.value), found.get((name, phase), 0))
        for name in dict.fromkeys(name for name, _ in found)
        for phase in _PLEDGED
    ]
