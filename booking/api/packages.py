"""Packages: the current versions, new ones, and those that are taken out of the calendar."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from booking.allocator.durations import format_duration
from booking.allocator.package import Package, Size
from booking.api.noun import AVAILABILITY, Noun, nothing
from booking.api.schemas.packages import PackageIn, PackageList, PackageOut
from booking.identity import context, require_actor
from booking.services import packages

blp = Noun("packages", "Named, versioned, immutable sizes of a notebook and its workers.")


def shown(package: Package) -> dict[str, Any]:
    """A package as it is told."""
    return {
        "name": package.name,
        "version": package.version,
        "notebook": {"cores": package.notebook.cores, "memory_mib": package.notebook.memory_mib},
        "worker": {
            "cores": package.worker.cores,
            "memory_mib": package.worker.memory_mib,
            "count": package.worker_count,
        },
        "demand": package.demand.amounts(),
        "lead_time": format_duration(package.lead_time),
    }


@blp.get("/packages")
@blp.needs(AVAILABILITY)
@blp.response(200, PackageList)
def list_packages() -> dict[str, Any]:
    """The current version of every package, the smallest first."""
    found = context().db.read("packages", packages.current)
    return {"items": [shown(package) for package in found], "next": None}


@blp.get("/packages/<name>")
@blp.needs(AVAILABILITY, 404)
@blp.response(200, PackageOut)
def get_package(name: str) -> dict[str, Any]:
    """The current version of one package."""
    return shown(context().db.read("package", lambda session: packages.named(session, name)))


@blp.post("/packages")
@blp.needs("admin")
@blp.body(PackageIn)
@blp.response(201, PackageOut)
def publish_package(body: dict[str, Any]) -> Any:
    """Make a package, or the next version of the package of that name (administrators)."""
    notebook, worker = body["notebook"], body["worker"]
    package = Package(
        body["name"],
        0,
        Size(notebook["cores"], notebook["memory_mib"]),
        Size(worker["cores"], worker["memory_mib"]),
        worker["count"],
        body.get("lead_time") or timedelta(0),
    )
    row = packages.publish(context(), require_actor(), package)
    return shown(row.size), 201, {"Location": f"/api/v1/packages/{row.name}"}


@blp.delete("/packages/<name>")
@blp.needs("admin", 404)
@blp.response(204)
def retire_package(name: str) -> Any:
    """Take a package out of the calendar; what is booked of it stays (administrators)."""
    packages.retire(context(), require_actor(), name)
    return nothing()
