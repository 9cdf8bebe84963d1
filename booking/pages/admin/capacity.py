"""What physically exists, and when: pools, inventory, blackouts, and what a change does to bookings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Response, request

from booking.allocator.cells import Granularity
from booking.allocator.resources import Resources
from booking.allocator.span import FOREVER
from booking.api.noun import needs
from booking.api.schemas.pools import HoldingIn, PoolChangeIn, PoolIn
from booking.errors import BookingError, CapacityConflict, Conflict, Invalid
from booking.models import Blackout, Inventory, Pool
from booking.pages import hours
from booking.pages.admin.chart import HEIGHT, LEFT, RIGHT, WIDTH, chart
from booking.pages.admin.forms import Form, amounts, given, instant, loaded
from booking.pages.calendar.query import one_of
from booking.pages.frame import administrator, context, go, page, pages
from booking.pages.words import Wall
from booking.services import availability, capacity, listing
from booking.services.capacity import Edit, Holding, OnConflict

TABLES: dict[str, type[Inventory] | type[Blackout]] = {"inventory": Inventory, "blackout": Blackout}
SPANS = {"4w": ("4 weeks", 28), "3m": ("3 months", 92), "1y": ("1 year", 366)}
_BEFORE = timedelta(days=3)


def pool_named(name: str | None) -> tuple[Pool | None, Sequence[Pool]]:
    """The pool of that id or name, else the first one; and all of them."""
    found = capacity.pools(context())
    chosen = next((pool for pool in found if name in (pool.id, pool.name)), None)
    return chosen or next(iter(found), None), found


def overview(status: int = 200, /, **more: Any) -> Response:
    """The page of a pool's capacity."""
    actor, ctx = administrator(), context()
    pool, pools_ = pool_named(request.values.get("pool"))
    values: dict[str, Any] = {
        "actor": actor,
        "pool": pool,
        "pools": pools_,
        "errors": {},
        "form": {},
        "section": "",
    }
    if pool is not None:
        span = request.args.get("span", "4w")
        span = span if span in SPANS else "4w"
        now = ctx.clock.now()
        # What begins or ends beyond the chart is in the tables.
        exact = availability.timeline(ctx, pool.id, now - _BEFORE, now + timedelta(days=SPANS[span][1]))
        wall = Wall(pool.zone)
        kinds = [
            k
            for n, k in enumerate(("cores", "memory_mib", "gpus", "disk_gib"))
            if _is_there(exact.segments, n)
        ]
        rows = [
            (noun, row)
            for noun, table in TABLES.items()
            for row in listing.holdings(ctx, actor, table, pool.id)
        ]
        values |= {
            "wall": wall,
            "now": now,
            "span": span,
            "spans": SPANS,
            "segments": exact.segments,
            "charts": [chart(kind, exact.segments, wall, now) for kind in kinds or ["cores"]],
            "frame": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT},
            "current": [entry for entry in rows if entry[1].end > now],
            "over": [entry for entry in rows if entry[1].end <= now],
            "today": now.astimezone(pool.zone).date(),
            "forever": FOREVER,
            "choice": lambda at: hours.start_choice(pool.zone, at),
            "hours_of": lambda day: hours.starts(pool.zone, day),
        }
    return page("admin/capacity.html", status, **(values | more))


def _is_there(segments: Sequence[Any], index: int) -> bool:
    return any(segment.physical[index] or segment.reserved[index] for segment in segments)


@pages.get("/admin/capacity")
@needs("admin")
def admin_capacity() -> Response:
    """What exists, what is withdrawn, and what is reserved of it."""
    return overview()


def edit_of(form: Form, pool: Pool, *, dry_run: bool) -> Edit:
    """The change that a form describes.

    :raises Invalid: naming each field that is wrong.
    """
    noun = form.get("noun", "")
    if noun not in TABLES:
        raise Invalid({"noun": ["is inventory or blackout"]})
    on_conflict = one_of(OnConflict, "on_conflict", form.get("on_conflict")) or OnConflict.REFUSE
    row_id = form.get("row") or None
    if row_id is not None and form.get("act") == "remove":
        return Edit(pool.id, TABLES[noun], row_id, None, on_conflict, dry_run)
    body = {
        "span": {
            "start": instant(form, "from", pool.zone),
            "end": None if form.get("forever") else instant(form, "until", pool.zone),
        },
        "resources": amounts(form),
        "reason": form.get("reason", "").strip(),
    }
    return Edit(pool.id, TABLES[noun], row_id, Holding(**loaded(HoldingIn, body)), on_conflict, dry_run)


@pages.post("/admin/capacity")
@needs("admin")
def change_capacity() -> Response:
    """Show what a change does to bookings; the second time, with that known, make it."""
    actor, ctx = administrator(), context()
    pool, _ = pool_named(request.form.get("pool"))
    if pool is None:
        raise Conflict("There is no pool yet.")
    final = request.form.get("step") == "save"
    try:
        edit = edit_of(request.form, pool, dry_run=not final)
        impact = capacity.edit(ctx, actor, edit)
    except Invalid as error:
        return overview(422, errors=error.errors, form=request.form, section="holding")
    except CapacityConflict:
        # Somebody booked between the two steps: what would be hit now is shown again.
        edit = edit_of(request.form, pool, dry_run=True)
        return _asked(pool, edit, capacity.edit(ctx, actor, edit), 409)
    if not final:
        return _asked(pool, edit, impact)
    count = len(impact.conflicts)
    what = {OnConflict.CANCEL: "cancelled", OnConflict.KEEP: "kept and flagged"}.get(edit.on_conflict, "")
    hit = f" {count} reservation{'' if count == 1 else 's'} {what}." if count else ""
    return go(f"/admin/capacity?pool={pool.id}", f"Saved.{hit}")


def _asked(pool: Pool, edit: Edit, impact: capacity.Impact, status: int = 200) -> Response:
    """What the change would do, and what shall happen to the bookings it hits."""
    rows = [(capacity.described(reservation), reservation) for reservation in impact.conflicts]
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in ("csrf_token", "step", "on_conflict")
    ]
    return page(
        "admin/impact.html",
        status,
        actor=administrator(),
        pool=pool,
        wall=Wall(pool.zone),
        edit=edit,
        noun=request.form.get("noun"),
        conflicts=rows,
        fields=fields,
    )


@pages.post("/admin/pools")
@needs("admin")
def change_pool() -> Response:
    """Make a pool, or change one."""
    actor, ctx, form = administrator(), context(), request.form
    ratio = form.get("share_ratio", "").strip()
    body = given(
        name=form.get("name", "").strip() or None,
        share_ratio=_ratio(ratio) if ratio else None,
        level0_reserve=amounts(form, "reserve_"),
    )
    try:
        if form.get("pool"):
            values = loaded(PoolChangeIn, body)
            wanted = capacity.PoolChange(
                name=values.get("name"),
                share_ratio_milli=values.get("share_ratio"),
                reserve=values.get("level0_reserve"),
            )
            pool = capacity.change_pool(ctx, actor, form["pool"], wanted)
            return go(f"/admin/capacity?pool={pool.id}", "Saved.")
        values = loaded(
            PoolIn, body | {"timezone": form.get("timezone", ""), "granularity": form.get("granularity", "")}
        )
        pool = capacity.make_pool(ctx, actor, _new(values))
    except Invalid as error:
        return overview(422, errors=error.errors, form=form, section="pool")
    except BookingError as error:
        if not isinstance(error, Conflict):
            raise
        return overview(409, errors={"name": [error.detail]}, form=form, section="pool")
    return go(f"/admin/capacity?pool={pool.id}", "The pool is there. Enter what it has.")


def _ratio(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _new(values: dict[str, Any]) -> capacity.NewPool:
    return capacity.NewPool(
        name=values["name"],
        timezone=values["timezone"],
        granularity=Granularity(values["granularity"]),
        share_ratio_milli=values.get("share_ratio", 1000),
        reserve=values.get("level0_reserve", Resources()),
    )
