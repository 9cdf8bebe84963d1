"""The first set-up: a pool of what this machine has, packages that fit it, people, and a token.

Each step may be repeated; the mark that it is complete is written last, so that a set-up that was
interrupted is not taken for a finished one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.cells import Granularity, day_start
from booking.allocator.package import CUSTOM, Package, Size
from booking.allocator.policy import Limits
from booking.allocator.resources import Resources
from booking.allocator.span import FOREVER, Span
from booking.errors import Conflict
from booking.models import AccountKind, Installation, Inventory, Pool
from booking.services import accounts, capacity, packages, tokens
from booking.services.context import Actor, Context

POOL = "this-machine"
SHARE_RATIO_MILLI = 4000
"""Shared notebooks idle most of the time: four shared bookings count as one."""
_STEP_MIB = 256
_ENOUGH_CORES = 8
_LEAST_MIB = 1024
"""What a notebook, or a worker, needs to start."""
_SERVICE = Actor("", "set-up", AccountKind.SERVICE, 0, is_admin=True, limits=Limits())


@dataclass(frozen=True)
class FirstSetUp:
    """What is shown once."""

    admin: str
    admin_password: str
    user: str
    user_password: str
    token: str


def is_complete(ctx: Context) -> bool:
    """Whether a set-up has been completed."""
    return ctx.db.read("is set up", lambda session: session.get(Installation, 1) is not None)


def installation(ctx: Context) -> str:
    """The name of this installation, which its clusters carry; empty before the first set-up."""
    query = select(Installation.name)
    return ctx.db.read("installation", lambda session: session.scalar(query)) or ""


def bare(ctx: Context) -> None:
    """Mark the set-up as complete without demonstration data."""
    ctx.db.run("mark installed", lambda session: _mark(ctx, session))


def first(ctx: Context, cores: int, memory_mib: int, timezone: str) -> FirstSetUp:
    """Set up a pool of so many cores and so much memory, packages, an administrator, a user and a token."""
    usable = kept_back(cores, memory_mib)
    reserve = set_aside(usable)
    _pool(ctx, usable, reserve, timezone)
    known = {package.name for package in ctx.db.read("packages", packages.current)}
    for package in sensible_packages(usable - reserve):
        if package.name not in known:
            packages.publish(ctx, _SERVICE, package)
    admin_password, user_password = ctx.ids.secret()[:16], ctx.ids.secret()[:16]
    _person(ctx, "admin", admin_password, level=2, is_admin=True)
    _person(ctx, "user", user_password, level=1, is_admin=False)
    service = accounts.NewAccount("service", level=2, kind=AccountKind.SERVICE)
    with suppress(Conflict):  # a set-up that was interrupted made it
        accounts.create(ctx, None, service)
    scopes = ("availability:read", "bookings:read", "bookings:write")
    token = tokens.make(ctx, None, "service", scopes, "first set-up")
    ctx.db.run("mark installed", lambda session: _mark(ctx, session))
    return FirstSetUp("admin", admin_password, "user", user_password, token.secret)


def kept_back(cores: int, memory_mib: int) -> Resources:
    """What may be booked of a machine: the system keeps an eighth of each, at least 1 GiB and no core of the first eight.

    A cluster has a notebook and a worker, so that even a machine of one core offers two.
    """
    kept = max(memory_mib // 8, 1024)
    return Resources(cores=max(cores - cores // 8, 2), memory_mib=max(memory_mib - kept, 2 * _LEAST_MIB))


def set_aside(usable: Resources) -> Resources:
    """The standing reservation for level 0: one tiny where the machine is large enough to spare it [R17]."""
    if usable.cores < _ENOUGH_CORES:
        return Resources()
    return sensible_packages(usable)[0].demand


def sensible_packages(usable: Resources) -> list[Package]:
    """tiny to large, halving from the whole machine, each with a notebook and a worker; custom begins as tiny.

    A quarter of the memory, and at least one core, is the notebook's; amounts are multiples of 256 MiB.
    """
    sizes = [
        _package(name, usable, share)
        for name, share in (("tiny", 8), ("small", 4), ("medium", 2), ("large", 1))
    ]
    tiny = sizes[0]
    return [*sizes, Package(CUSTOM, 1, tiny.notebook, tiny.worker, tiny.worker_count)]


def _package(name: str, usable: Resources, share: int) -> Package:
    cores = max(2, usable.cores // share)
    memory = max(2 * _LEAST_MIB, usable.memory_mib // share)
    notebook = Size(max(1, cores // 4), max(_LEAST_MIB, _round(memory // 4)))
    worker = Size(cores - notebook.cores, max(_LEAST_MIB, _round(memory - notebook.memory_mib)))
    return Package(name, 1, notebook, worker, 1)


def _round(memory_mib: int) -> int:
    return memory_mib // _STEP_MIB * _STEP_MIB


def _pool(ctx: Context, usable: Resources, reserve: Resources, timezone: str) -> None:
    new = capacity.NewPool(
        POOL,
        timezone,
        Granularity.HOUR,
        platform=POOL,
        share_ratio_milli=SHARE_RATIO_MILLI,
        reserve=reserve,
    )
    with suppress(Conflict):  # a set-up that was interrupted made it
        capacity.make_pool(ctx, _SERVICE, new)
    if ctx.db.read("has inventory", _has_inventory):
        return
    today = ctx.clock.now().astimezone(ZoneInfo(timezone)).date()
    span = Span(day_start(ZoneInfo(timezone), today), FOREVER)
    holding = capacity.Holding(span, usable, "what this machine has, less what the system keeps")
    capacity.edit(ctx, _SERVICE, capacity.Edit(POOL, Inventory, None, holding))


def _has_inventory(session: Session) -> bool:
    return (
        session.scalar(select(Inventory.id).join(Pool, Pool.id == Inventory.pool_id).where(Pool.name == POOL))
        is not None
    )


def _person(ctx: Context, name: str, password: str, *, level: int, is_admin: bool) -> None:
    try:
        accounts.create(ctx, None, accounts.NewAccount(name, password, level, is_admin))
    except Conflict:
        # A set-up that was interrupted made it; nobody has seen that password.
        accounts.change(ctx, None, name, accounts.AccountChange(password=password))


def _mark(ctx: Context, session: Session) -> None:
    if session.get(Installation, 1) is None:
        session.add(Installation(id=1, name=ctx.ids.new(), installed_at=ctx.clock.now()))
