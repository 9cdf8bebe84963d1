"""Packages: the current versions, new ones, and those that are taken out of the calendar."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, request

from booking.allocator.durations import format_duration
from booking.allocator.package import Package, Size
from booking.api.noun import needs
from booking.api.schemas.packages import PackageIn
from booking.errors import Invalid
from booking.pages.admin.forms import Form, given, loaded, number
from booking.pages.frame import administrator, context, go, page, pages
from booking.pages.language import gettext
from booking.services import packages


def overview(status: int = 200, /, **more: Any) -> Response:
    """The page of packages."""
    actor = administrator()
    rows = context().db.read("packages", packages.current_rows)
    values = {"actor": actor, "rows": list(reversed(rows)), "errors": {}, "form": {}}
    return page("admin/packages.html", status, **(values | more))


@pages.get("/admin/packages")
@needs("admin")
def admin_packages() -> Response:
    """The current version of every package."""
    return overview()


def _package(form: Form) -> Package:
    lead = number(form, "lead_minutes")
    length = format_duration(timedelta(minutes=lead)) if isinstance(lead, int) and 0 <= lead < 10**6 else lead
    body = given(
        name=form.get("name", "").strip(),
        notebook=given(cores=number(form, "notebook_cores"), memory_mib=number(form, "notebook_memory_mib")),
        worker=given(
            cores=number(form, "worker_cores"),
            memory_mib=number(form, "worker_memory_mib"),
            count=number(form, "worker_count"),
        ),
        lead_time=length,
    )
    found = loaded(PackageIn, body)
    notebook, worker = found["notebook"], found["worker"]
    return Package(
        found["name"],
        0,
        Size(notebook["cores"], notebook["memory_mib"]),
        Size(worker["cores"], worker["memory_mib"]),
        worker["count"],
        found.get("lead_time") or timedelta(0),
    )


@pages.post("/admin/packages")
@needs("admin")
def publish_package() -> Response:
    """Make a package, or the next version of the one of that name."""
    actor = administrator()
    try:
        row = packages.publish(context(), actor, _package(request.form))
    except Invalid as error:
        return overview(422, errors=error.errors, form=request.form)
    said = gettext(
        "%(name)s is at version %(version)s. What is booked keeps its own numbers.",
        name=row.name,
        version=row.version,
    )
    return go("/admin/packages", said)


@pages.post("/admin/packages/<name>/retire")
@needs("admin")
def retire_package(name: str) -> Response:
    """Take a package out of the calendar."""
    packages.retire(context(), administrator(), name)
    return go(
        "/admin/packages", gettext("%(name)s is out of the calendar. What is booked of it stays.", name=name)
    )
