"""How a booking stands, as its page shows it: the steps of a reservation, what moves, what is next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from booking.allocator.lifecycle import FINAL, LIVE, State
from booking.config import Settings
from booking.models import Booking, ClusterPhase, Reservation
from booking.pages.language import gettext
from booking.pages.words import Wall, lasting
from booking.services.listing import Seen

DONE, NOW, NEXT, FAILED = "done", "now", "next", "failed"
_SOON = timedelta(minutes=1)
"""How long before it begins a page starts to watch."""


@dataclass(frozen=True)
class Step:
    """One step on the way of a reservation: what it is, how far it is, and a sentence."""

    name: str
    stage: str
    said: str = ""


@dataclass(frozen=True)
class Door:
    """An address of a running cluster, for those who may use it."""

    name: str
    url: str


@dataclass(frozen=True)
class Live:
    """One booking just now."""

    seen: Seen
    now: datetime
    settings: Settings
    tokens: Mapping[str, Mapping[str, str] | None]

    @property
    def booking(self) -> Booking:
        return self.seen.booking

    @property
    def wall(self) -> Wall:
        return Wall(self.booking.pool.zone)

    @property
    def reservation(self) -> Reservation:
        """The one that matters now: what is live, else what comes next, else the last."""
        found = self.booking.reservations
        live = [r for r in found if r.state in LIVE]
        coming = [r for r in found if r.state not in FINAL]
        return (live or coming or found[-1:])[0]

    @property
    def is_over(self) -> bool:
        return all(r.state in FINAL for r in self.booking.reservations)

    @property
    def is_held(self) -> bool:
        return any(r.state is State.HELD for r in self.booking.reservations)

    @property
    def lead(self) -> timedelta:
        return max(self.booking.size.lead_time, timedelta(minutes=self.settings.lead_minutes))

    @property
    def moves(self) -> bool:
        """Whether something is about to change, so that the page looks again every two seconds."""
        reservation = self.reservation
        if reservation.state is State.ENDING:
            return True
        if reservation.state is State.PREPARING:
            ready = reservation.cluster is not None and reservation.cluster.phase is ClusterPhase.READY
            return not ready or reservation.start <= self.now + _SOON
        begins = reservation.start - self.lead - _SOON
        return reservation.state is State.CONFIRMED and begins <= self.now < reservation.end

    @property
    def changes_at(self) -> datetime | None:
        """When something changes by itself next, if the page does not watch already."""
        if self.moves or self.is_over:
            return None
        r = self.reservation
        warned = r.end - timedelta(minutes=self.settings.warning_minutes)
        coming = {
            State.HELD: [r.expires_at or r.start],
            State.CONFIRMED: [r.start - self.lead - _SOON],
            State.PREPARING: [r.start - _SOON],
            State.ACTIVE: [warned, r.end - timedelta(seconds=self.settings.teardown_seconds)],
        }[r.state]
        return min((at for at in coming if at > self.now), default=self.now + _SOON)

    @property
    def is_undoable(self) -> bool:
        """Whether it may be taken back whole: nothing of it has begun to be made."""
        return all(r.state in (State.HELD, State.CONFIRMED) for r in self.booking.reservations)

    @property
    def countdown(self) -> tuple[str, datetime] | None:
        """What comes next, and when."""
        r = self.reservation
        if r.state in FINAL or r.state is State.ENDING:
            return None
        if r.state is State.HELD:
            return gettext("The hold ends in"), r.expires_at or r.start
        starts = gettext("Starts in"), r.start
        return starts if r.start > self.now else (gettext("Ends in"), r.end)

    @property
    def ends_soon(self) -> str:
        """How long it still lasts, where that is little."""
        left = self.reservation.end - self.now
        warned = timedelta(minutes=self.settings.warning_minutes)
        in_use = self.reservation.state in (State.PREPARING, State.ACTIVE)
        return lasting(left) if in_use and timedelta(0) < left <= warned else ""

    @property
    def doors(self) -> Sequence[Door]:
        """The addresses of the cluster, once it is ready; nothing for those who may not use it."""
        cluster = self.reservation.cluster
        if not self.seen.usable or cluster is None or cluster.phase is not ClusterPhase.READY:
            return ()
        return [Door(entry["name"], entry["url"]) for entry in cluster.endpoints]

    @property
    def steps(self) -> list[Step]:
        return steps(self.reservation, self)


def steps(reservation: Reservation, live: Live) -> list[Step]:
    """The way of a reservation, from its promise to its end."""
    wall, state = live.wall, reservation.state
    if state in (State.CANCELLED, State.EXPIRED, State.FAILED, State.PREEMPTED):
        return _broken_off(reservation)
    began = State.HELD if state is State.HELD else State.CONFIRMED
    order = (began, State.PREPARING, State.ACTIVE, State.ENDING, State.ENDED)
    said = {
        State.HELD: gettext("until %(time)s; confirm it before", time=wall.clock(reservation.expires_at))
        if reservation.expires_at
        else "",
        State.CONFIRMED: gettext("nobody can take it from you"),
        State.PREPARING: gettext("from %(moment)s on", moment=wall.moment(reservation.start - live.lead)),
        State.ACTIVE: wall.span(reservation.start, reservation.end),
        State.ENDING: gettext("everything in the cluster is destroyed"),
        State.ENDED: "",
    }
    names = {
        State.HELD: gettext("Held for you"),
        State.CONFIRMED: gettext("Booked"),
        State.PREPARING: gettext("Cluster is made"),
        State.ACTIVE: gettext("Ready to use"),
        State.ENDING: gettext("Cluster is taken down"),
        State.ENDED: gettext("Gone"),
    }
    at = order.index(state)
    if state is State.PREPARING and _is_ready(reservation):
        said[State.PREPARING] = gettext(
            "ready; it is yours from %(moment)s", moment=wall.moment(reservation.start)
        )
    if state is State.ACTIVE:
        said[State.PREPARING] = ""
    if (
        reservation.cluster is not None
        and state in (State.PREPARING, State.ENDING)
        and not _is_ready(reservation)
    ):
        said[state] = reservation.cluster.detail
    found = []
    for index, step in enumerate(order):
        over = index < at or state is State.ENDED
        found.append(Step(names[step], DONE if over else NOW if index == at else NEXT, said[step]))
    return found


def _is_ready(reservation: Reservation) -> bool:
    return reservation.cluster is not None and reservation.cluster.phase is ClusterPhase.READY


def _broken_off(reservation: Reservation) -> list[Step]:
    failed = reservation.state is State.FAILED
    names = {
        State.CANCELLED: gettext("Cancelled"),
        State.EXPIRED: gettext("The hold expired"),
        State.FAILED: gettext("Failed"),
        State.PREEMPTED: gettext("Displaced by a booking"),
    }
    detail = reservation.cluster.detail if failed and reservation.cluster else reservation.end_reason
    return [Step(gettext("Booked"), DONE), Step(names[reservation.state], FAILED if failed else DONE, detail)]
