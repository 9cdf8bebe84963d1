"""`booking book` and what follows: show, list, confirm, extend, cancel."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from booking.allocator.package import CUSTOM, Package, Sharing, Size
from booking.allocator.span import Span
from booking.cli import context, times
from booking.cli.options import sizes, trait_option
from booking.cli.output import account_option, json_option, print_fields, print_json, print_table
from booking.cli.reading import administrators, bookings_of, pool_named
from booking.errors import Invalid
from booking.models import Booking, Pool, Reservation
from booking.provisioning import tokens_on
from booking.services import bookings, changes
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest
from booking.services.traits import check

_SIZES = ("notebook_cores", "notebook_memory_mib", "worker_cores", "worker_memory_mib")


def as_dict(booking: Booking) -> dict[str, Any]:
    """A booking as the API shows it."""
    return {
        "id": booking.id,
        "account": booking.account.name,
        "pool": booking.pool_id,
        "package": booking.package_name,
        "version": booking.package_version,
        "sharing": booking.sharing.value,
        "title": booking.title,
        "state": booking.state.value,
        "reservations": [_reservation(reservation) for reservation in booking.reservations],
    }


def _reservation(reservation: Reservation) -> dict[str, Any]:
    cluster = reservation.cluster
    return {
        "id": reservation.id,
        "start": times.written(reservation.start),
        "end": times.written(reservation.end),
        "state": reservation.state.value,
        "expires": times.written(reservation.expires_at) if reservation.expires_at else None,
        "at_risk": reservation.at_risk,
        "cluster": None
        if cluster is None
        else {"state": cluster.phase.value, "detail": cluster.detail, "endpoints": cluster.endpoints},
    }


def _print(booking: Booking, *, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(booking))
        return
    pool = booking.pool
    print_fields(
        {
            "id": booking.id,
            "state": booking.state.value,
            "package": f"{booking.package_name} (version {booking.package_version}), {booking.sharing.value}",
            "pool": pool.name,
            "account": booking.account.name,
            "title": booking.title,
        }
    )
    for reservation in booking.reservations:
        span = f"{times.shown(reservation.start, pool.zone)} to {times.shown(reservation.end, pool.zone)}"
        click.echo(f"  {reservation.id}  {span}  {reservation.state.value}")
        if reservation.cluster is not None:
            click.echo(f"    {reservation.cluster.detail}")
            for endpoint in reservation.cluster.endpoints:
                click.echo(f"    {endpoint['name']}  {endpoint['url']}")


@click.command("book")
@click.argument("package")
@click.option("--start", help="A time, or `now` for the current cell.")
@click.option("--end", help="A time, or a length from the start, as PT2H or P1D.")
@click.option("--span", "spans", multiple=True, metavar="START/END", help="May be repeated: all or none.")
@click.option(
    "--sharing", type=click.Choice([s.value for s in Sharing]), default="reserved", show_default=True
)
@click.option("--pool", help="Name or id; the first pool if not given.")
@trait_option
@click.option("--title", default="")
@click.option("--notebook-url", help="A notebook or repository to open on start.")
@click.option("--group", help="A group that shares the booking.")
@click.option(
    "--hold", is_flag=True, help="Only hold it for some minutes; `booking confirm` makes it a booking."
)
@sizes
@click.option("--dry-run", is_flag=True, help="Decide everything and write nothing.")
@account_option
@json_option
def book_command(package: str, account: str | None, *, dry_run: bool, as_json: bool, **values: Any) -> None:
    """Book a package; without --account, for the administrator of this site.

    A refusal lists commands that would succeed now.
    """
    ctx = context.open_context()
    booker = context.actor_named(ctx, account) if account else _administrator(ctx)
    request = _request(ctx, package, values)
    if dry_run:
        decision = bookings.preview(ctx, booker, request)
        print_json({"ok": True, "demand": decision.package.demand.amounts()}) if as_json else click.echo(
            "It would be granted; nothing was booked."
        )
        return
    _print(bookings.book(ctx, booker, request, as_dict).booking, as_json=as_json)


def _administrator(ctx: Context) -> Actor:
    """The account that the local operator books for.

    :raises click.UsageError: unless there is exactly one administrator.
    """

    found = administrators(ctx)
    if len(found) != 1:
        raise click.UsageError("Say for whom: --account NAME.")
    return found[0]


def _request(ctx: Context, package: str, values: dict[str, Any]) -> BookingRequest:
    sharing = Sharing(values["sharing"])
    check(values["traits"], sharing)
    pool = pool_named(ctx, values["pool"], values["traits"])
    hold = timedelta(minutes=ctx.settings.hold_minutes) if values["hold"] else None
    return BookingRequest(
        package=package,
        sharing=sharing,
        spans=_spans(ctx, pool, values),
        pool=pool.id,
        custom=_custom(values) if package == CUSTOM else None,
        title=values["title"],
        notebook_url=values["notebook_url"],
        group=values["group"],
        hold=hold,
        traits=values["traits"],
    )


def _custom(values: dict[str, Any]) -> Package:
    missing = [name for name in _SIZES if values[name] is None]
    if missing:
        raise Invalid({f"--{name.replace('_', '-')}": ["is needed for a custom package"] for name in missing})
    notebook = Size(values["notebook_cores"], values["notebook_memory_mib"])
    worker = Size(values["worker_cores"], values["worker_memory_mib"])
    return Package(CUSTOM, 1, notebook, worker, values["worker_count"])


def _spans(ctx: Context, pool: Pool, values: dict[str, Any]) -> tuple[Span, ...]:
    texts = [tuple(text.partition("/")[::2]) for text in values["spans"]]
    if values["start"] or values["end"]:
        texts.append((values["start"] or times.NOW, values["end"] or ""))
    if not texts or any(not end for _, end in texts):
        raise click.UsageError("Say when: --start and --end, or --span START/END.")
    return tuple(_span(ctx, pool, start, end) for start, end in texts)


def _span(ctx: Context, pool: Pool, start: str, end: str) -> Span:
    first = times.start_of("start", start, pool.zone, ctx.clock.now(), pool.granularity)
    return times.span_of(first, times.end_of("end", end, pool.zone, first))


@click.command("bookings")
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@account_option
@json_option
def bookings_command(account: str | None, *, everything: bool, as_json: bool) -> None:
    """Bookings that are not over, of everybody or of one account, the earliest first."""
    ctx = context.open_context()

    found = bookings_of(ctx, account, ended_too=everything)
    if as_json:
        print_json({"items": [as_dict(booking) for booking in found]})
        return
    head = ("id", "account", "package", "state", "start", "end", "spans")
    print_table(head, [_line(booking) for booking in found])


def _line(booking: Booking) -> tuple[object, ...]:
    first, last = booking.reservations[0], booking.reservations[-1]
    ends = (times.shown(first.start, booking.pool.zone), times.shown(last.end, booking.pool.zone))
    return (
        booking.id,
        booking.account.name,
        booking.package_name,
        booking.state,
        *ends,
        len(booking.reservations),
    )


@click.command("show")
@click.argument("id_", metavar="ID")
@click.option("--tokens", is_flag=True, help="Also print the tokens that open its endpoints.")
@account_option
@json_option
def show_command(id_: str, account: str | None, *, tokens: bool, as_json: bool) -> None:
    """One booking, with its cluster."""
    ctx = context.open_context()
    actor = context.actor(ctx, account)
    booking = ctx.db.read("booking", lambda session: bookings.visible(session, actor, id_))
    known = _tokens(ctx, booking) if tokens else {}
    if as_json:
        print_json(as_dict(booking) | ({"tokens": known} if tokens else {}))
        return
    _print(booking, as_json=False)
    for reservation_id, named in known.items():
        for name, token in named.items():
            click.echo(f"  {reservation_id}  token of the {name}  {token}")


def _tokens(ctx: Context, booking: Booking) -> dict[str, dict[str, str]]:
    """The tokens of each reservation by the name of the endpoint; of those that have a cluster."""
    provisioner = context.provisioner(ctx.settings)
    found = {}
    for reservation in booking.reservations:
        if reservation.cluster is not None:
            platform = reservation.cluster.platform_id
            tokens = provisioner.credentials if platform is None else tokens_on(ctx, platform)
            found[reservation.id] = dict(tokens(reservation.id))
    return found


@click.command("cancel")
@click.argument("id_", metavar="ID")
@account_option
@json_option
def cancel_command(id_: str, account: str | None, *, as_json: bool) -> None:
    """Cancel a booking; if it is live its cluster ends and the rest of its time is given back."""
    ctx = context.open_context()
    _print(bookings.cancel(ctx, context.actor(ctx, account), id_), as_json=as_json)


@click.command("confirm")
@click.argument("id_", metavar="ID")
@account_option
@json_option
def confirm_command(id_: str, account: str | None, *, as_json: bool) -> None:
    """Turn a hold into a booking, before it expires."""
    ctx = context.open_context()
    _print(bookings.confirm(ctx, context.actor(ctx, account), id_), as_json=as_json)


@click.command("extend")
@click.argument("id_", metavar="ID")
@click.option("--end", required=True, help="The new end: a time, or a length from its start.")
@click.option("--reservation", help="Which of its reservations; the last if not given.")
@account_option
@json_option
def extend_command(
    id_: str, end: str, reservation: str | None, account: str | None, *, as_json: bool
) -> None:
    """Move the end of a booking, later or earlier."""
    ctx = context.open_context()
    actor = context.actor(ctx, account)
    booking = ctx.db.read("booking", lambda session: bookings.visible(session, actor, id_))
    chosen = reservation or booking.reservations[-1].id
    moment = _end(ctx, booking, chosen, end)
    _print(changes.change(ctx, actor, id_, changes.Change(ends={chosen: moment}), None), as_json=as_json)


def _end(ctx: Context, booking: Booking, chosen: str, text: str) -> datetime:
    start = next((r.start for r in booking.reservations if r.id == chosen), ctx.clock.now())
    return times.end_of("end", text, booking.pool.zone, start)
