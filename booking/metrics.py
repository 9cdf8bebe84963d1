"""What is measured, in the manner of Prometheus; `exposition.py` tells it.

Labels have few values: a route, not an address; nobody's name. The library reads a clock for durations: they are
told, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from sqlalchemy import Engine, QueuePool, event

from booking.counting import use_held_files
from booking.errors import BookingError

P = ParamSpec("P")
L = TypeVar("L")

REGISTRY = CollectorRegistry()
use_held_files()
disable_created_metrics()  # type: ignore[no-untyped-call]

_MOMENTS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_WAITS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_DELAYS = (0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300, 900, 3600)

REQUESTS = Histogram(
    "booking_http_request_seconds",
    "Time to answer a request, by route, method and class of status.",
    ("route", "method", "status"),
    buckets=_MOMENTS,
    registry=REGISTRY,
)
DECISIONS = Counter(
    "booking_decisions",
    "Bookings decided: accepted, replayed (the same answer again), or the code of the refusal.",
    ("outcome",),
    registry=REGISTRY,
)
_LOCK_WAIT = Histogram(
    "booking_lock_wait_seconds",
    "Time that a writing transaction waited: for the write lock of SQLite (database), or for the row of a pool (pool).",
    ("lock",),
    buckets=_WAITS,
    registry=REGISTRY,
)
DATABASE_LOCK, POOL_LOCK = _LOCK_WAIT.labels("database"), _LOCK_WAIT.labels("pool")
LOST_RACES = Counter(
    "booking_lost_races",
    "Transactions that lost a race and were undone; up to five times they are made again.",
    ("transaction",),
    registry=REGISTRY,
)
CONNECTIONS = Gauge(
    "booking_database_connections_in_use",
    "Connections to the database that transactions of web processes hold.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
MOST_CONNECTIONS = Gauge(
    "booking_database_connections_most",
    "How many connections the web processes may hold at once.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
_READS = Counter(
    "booking_timeline_reads",
    "Reads of a timeline: the cached one was current, it caught up, or it was loaded from a snapshot or the ledger.",
    ("source",),
    registry=REGISTRY,
)
_CACHED, _CAUGHT_UP = _READS.labels("cached"), _READS.labels("caught_up")
_GENERATIONS = Histogram(
    "booking_timeline_catch_up_generations",
    "Generations that one read applied to a cached timeline.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
    registry=REGISTRY,
)
_LOADS = Histogram(
    "booking_timeline_load_seconds",
    "Time to load a timeline that was not cached, from a snapshot or the ledger.",
    ("source",),
    buckets=_MOMENTS,
    registry=REGISTRY,
)
_SHELF = Counter(
    "booking_shelf_reads",
    "Finished answers about calendars that were asked of the shelf: found there, or made anew.",
    ("result",),
    registry=REGISTRY,
)
SHELF_FOUND, SHELF_MADE = _SHELF.labels("found"), _SHELF.labels("made")
_TICKS = Histogram(
    "booking_tick_seconds",
    "Duration of a tick of a scheduler: led, stood_by or failed.",
    ("outcome",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)
_LEADS = Gauge(
    "booking_scheduler_leads",
    "Schedulers of this target that lead: 0 or 1.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
_WORK_LATENESS = Histogram(
    "booking_work_lateness_seconds",
    "How long after it was due a work was done.",
    ("action",),
    buckets=_DELAYS,
    registry=REGISTRY,
)
WORK_FAILURES = Counter("booking_work_failures", "Works that failed and were put off.", registry=REGISTRY)
AUDIT = Histogram(
    "booking_audit_seconds",
    "Duration of an audit of all pools.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
    registry=REGISTRY,
)
_AUDITS = Counter(
    "booking_audits", "Audits that ended, by result: passed or failed.", ("result",), registry=REGISTRY
)
_AUDITED_AT = Gauge(
    "booking_audit_last_timestamp_seconds",
    "When the last audit ended, in seconds since 1970.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
ORPHANS = Counter("booking_orphans", "Clusters torn down because they belonged to nobody.", registry=REGISTRY)

_READ_AT = Gauge(
    "booking_platform_last_reading_timestamp_seconds",
    "When all that a platform has was last read, in seconds since 1970.",
    ("platform",),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
_RESTS = Gauge(
    "booking_platform_rests",
    "Whether a platform is left alone for a moment because it did not answer as it should.",
    ("platform",),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)

READINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "booking_build_info": ("What runs; always 1.", ("version", "database")),
    "booking_database_up": ("Whether the database could be read just now.", ()),
    "booking_work_due": ("Works that are due and not done: the backlog.", ()),
    "booking_work_late_seconds": ("How long the oldest of them has been due; 0 where nothing is.", ()),
    "booking_work_failing": ("Works that failed and are not done yet.", ()),
    "booking_clusters": ("Clusters that are wanted or there, by phase.", ("phase",)),
    "booking_scheduler_led": ("Whether a scheduler has renewed its lead within three terms.", ()),
    "booking_scheduler_paused": ("Whether the scheduler is paused.", ()),
    "booking_pool_closed": ("Whether an audit has closed the pool.", ("pool",)),
    "booking_platform_answers": (
        "Whether the platform answered as it should when last asked.",
        ("platform",),
    ),
    "booking_pledges": ("Pledges that are wanted or there, by phase.", ("platform", "phase")),
}
"""What is read from the rows when somebody asks, the same whichever process is asked: name, help, labels."""


def platform_read(platform: str, at: datetime) -> None:
    """Everything that a platform has was read."""
    _READ_AT.labels(platform).set(at.timestamp())


def platform_rests(platform: str, rests: bool) -> None:
    """Whether its lane leaves it alone for a moment."""
    _RESTS.labels(platform).set(rests)


def names() -> set[str]:
    """Every metric, by the name under which it is told."""
    counted = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in REGISTRY.collect()
    }
    return counted | set(READINGS)


_answered: dict[tuple[str, str, int], Histogram] = {}


def answered(route: str | None, method: str, status: int, seconds: float) -> None:
    """A request was answered; what no route wanted is counted as one."""
    key = (route or "none", method if route else "any", status // 100)
    child = _answered.get(key)
    if child is None:
        child = _answered[key] = REQUESTS.labels(key[0], key[1], f"{key[2]}xx")
    child.observe(seconds)


class Decided(Protocol):
    """What booking returns."""

    @property
    def replayed(self) -> bool: ...


D = TypeVar("D", bound=Decided)


def decisions(book: Callable[P, D]) -> Callable[P, D]:
    """Count how an act of booking ends."""

    @wraps(book)
    def counted(*args: P.args, **words: P.kwargs) -> D:
        try:
            promise = book(*args, **words)
        except BookingError as error:
            DECISIONS.labels(error.code).inc()
            raise
        DECISIONS.labels("replayed" if promise.replayed else "accepted").inc()
        return promise

    return counted


def caught_up(generations: int) -> None:
    """A cached timeline was brought up to date by so many generations; 0 where it was."""
    if generations:
        _CAUGHT_UP.inc()
        _GENERATIONS.observe(generations)
    else:
        _CACHED.inc()


def loading(source: str) -> Callable[[Callable[P, L]], Callable[P, L]]:
    """Count and time what loads a timeline from there, where it finds one."""
    reads, seconds = _READS.labels(source), _LOADS.labels(source)

    def decorate(load: Callable[P, L]) -> Callable[P, L]:
        @wraps(load)
        def timed(*args: P.args, **words: P.kwargs) -> L:
            with seconds.time():
                found = load(*args, **words)
            if found is not None:
                reads.inc()
            return found

        return timed

    return decorate


def work_done(action: str, late: float) -> None:
    """A work was done, so many seconds after it was due."""
    _WORK_LATENESS.labels(action).observe(late)


def ticked(outcome: str, seconds: float) -> None:
    """A scheduler has made a tick: `led`, `stood_by` or `failed`."""
    _TICKS.labels(outcome).observe(seconds)
    _LEADS.set(outcome == "led")


def audited(now: datetime, *, passed: bool) -> None:
    """An audit has ended."""
    _AUDITS.labels("passed" if passed else "failed").inc()
    _AUDITED_AT.set(now.timestamp())


def watch(engine: Engine, overflow: int) -> None:
    """Tell how many connections of an engine are in use; its pool may grow by `overflow`."""
    pool = engine.pool
    if not isinstance(pool, QueuePool):
        return
    MOST_CONNECTIONS.inc(pool.size() + overflow)
    # Not counted up and down: what is lost without a word would be counted for ever.
    event.listen(engine, "checkout", lambda *_: CONNECTIONS.set(pool.checkedout()))
    event.listen(engine, "checkin", lambda *_: CONNECTIONS.set(max(0, pool.checkedout() - 1)))
