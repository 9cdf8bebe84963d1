"""What physically exists, and when: pools, inventory, blackouts, and what a change does to bookings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Response, request

from booking.allocator.cells import Granularity
from booking.allocator.resources import KINDS, Resources
from booking.allocator.span import FOREVER
from booking.api.noun import needs
from booking.api.schemas.pools import HoldingIn, PoolChangeIn, PoolIn
from booking.errors import BookingError, CapacityConflict, Conflict, Invalid
from booking.models import Blackout, Inventory, Pool
from booking.pages import hours
from booking.pages.admin.chart import HEIGHT, LEFT, RIGHT, WIDTH, chart, table
from booking.pages.admin.forms import Form, amounts, given, instant, loaded, options_of
from booking.pages.calendar.query import one_of
from booking.pages.frame import administrator, context, go, page, pages
from booking.pages.language import gettext, marked, ngettext
from booking.pages.parts import Part, part_of
from booking.pages.words import Wall
from booking.services import capacity, holdings, marks, platforms
from booking.services.capacity import Edit, Holding, OnConflict
from booking.services.exact import exact_timeline

TABLES: dict[str, type[Inventory] | type[Blackout]] = {"inventory": Inventory, "blackout": Blackout}
SPANS = {"4w": (marked("4 weeks"), 28), "3m": (marked("3 months"), 92), "1y": (marked("1 year"), 366)}
_BEFORE = timedelta(days=3)


def overview(status: int = 200, /, **more: Any) -> Response:
    """The page of a pool's capacity."""
    actor, ctx = administrator(), context()
    pool = capacity.pool_or_first(ctx, request.values.get("pool"))
    values: dict[str, Any] = {"actor": actor, "pool": pool, "errors": {}, "form": {}, "section": ""}
    values |= more
    if pool is not None:
        span = request.args.get("span", "4w")
        span = span if span in SPANS else "4w"
        now, wall = ctx.clock.now(), Wall(pool.zone)
        # What begins or ends beyond the chart is in the tables.
        exact = exact_timeline(ctx, pool.id, now - _BEFORE, now + timedelta(days=SPANS[span][1]))
        kinds = [kind for n, kind in enumerate(KINDS) if _is_there(exact.segments, n)]
        values |= {
            "pools": marks.called(ctx),
            "options": lambda found: options_of(tuple((one.id, one.name) for one in found)),
            "wall": wall,
            "platform": platforms.overview(ctx, actor, pool.platform_id)
            if pool.platform.provisioner
            else None,
            "now": now,
            "span": span,
            "spans": {name: (gettext(text), days) for name, (text, days) in SPANS.items()},
            "segments": table(exact.segments, wall),
            "charts": [chart(kind, exact.segments, wall, now) for kind in kinds or ["cores"]],
            "frame": {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT},
            **_holdings(pool, span, now, str(values["form"].get("row", ""))),
            "today": now.astimezone(pool.zone).date(),
            "forever": FOREVER,
            "choice": lambda at: hours.start_choice(pool.zone, at),
            "hours_of": lambda day: options_of(
                tuple((h.value, h.label) for h in hours.starts(pool.zone, day))
            ),
        }
    return page("admin/capacity.html", status, **values)


def _is_there(segments: Sequence[Any], index: int) -> bool:
    return any(segment.physical[index] or segment.reserved[index] for segment in segments)


def _holdings(pool: Pool, span: str, now: datetime, changed: str) -> dict[str, Part[Any]]:
    """What the pool has now or later, and what it had: of each a part, that of the changed row where it is sent."""
    rows = holdings.of_pool(context(), administrator(), pool.id)
    current = [entry for entry in rows if entry[1].end > now]
    over = sorted((entry for entry in rows if entry[1].end <= now), key=lambda entry: entry[1].end)
    at = next((n for n, (_, row) in enumerate(current) if row.id == changed), 0)
    lists, kept = {"holdings": (current, at), "over": (over[::-1], 0)}, {"pool": pool.id, "span": span}
    return {name: part_of(found, name, "/admin/capacity", kept, at=at) for name, (found, at) in lists.items()}


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
        raise Invalid({"noun": [gettext("is inventory or blackout")]})
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
    pool = capacity.pool_or_first(ctx, request.form.get("pool"))
    if pool is None:
        raise Conflict(gettext("There is no pool yet."))
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
    hit = {
        OnConflict.CANCEL: ngettext(
            "%(count)s reservation cancelled.", "%(count)s reservations cancelled.", count
        ),
        OnConflict.KEEP: ngettext(
            "%(count)s reservation kept and flagged.", "%(count)s reservations kept and flagged.", count
        ),
    }
    said = [gettext("Saved."), *([hit[edit.on_conflict]] if count else [])]
    return go(f"/admin/capacity?pool={pool.id}", " ".join(said))


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
            return go(f"/admin/capacity?pool={pool.id}", gettext("Saved."))
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
    return go(f"/admin/capacity?pool={pool.id}", gettext("The pool is there. Enter what it has."))


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
