"""Commands that write a backup and restore one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

import click

from booking import __version__, migrate
from booking.cli import context
from booking.cli.output import json_option, print_json
from booking.cli.pause import told_outside
from booking.services import backup
from booking.services.context import Context

LAST = "last_backup.json"
"""The file under the home folder that says when and where the last backup was written."""


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def backup_command(file: Path, *, as_json: bool) -> None:
    """Write every table into FILE, while the service runs; an older FILE stays until the new one is whole.

    The file holds hashes of passwords and tokens: only you may read it. The secret key is not in it.
    """
    ctx = context.open_context()
    try:
        with _replaced(file, ctx) as fresh:
            manifest = backup.write(ctx, fresh, __version__)
        last = {"at": manifest.created_at, "file": str(file.resolve()), "rows": manifest.rows}
        with _replaced(ctx.settings.home / LAST, ctx) as note:
            note.write(json.dumps(last).encode())
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    if as_json:
        print_json(asdict(manifest))
    else:
        click.echo(f"{manifest.rows} rows of {len(manifest.tables)} tables are in {file}.")


@contextmanager
def _replaced(file: Path, ctx: Context) -> Iterator[IO[bytes]]:
    """A file of mode 0600 that takes the place of another once it is whole and on the disk.

    :raises OSError: if the folder cannot be written.
    """
    fresh = file.with_name(f".{file.name}.{ctx.ids.new()}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace a database that is in use: what it holds is lost.")
@click.option(
    "--revoke-tokens",
    is_flag=True,
    help="No token of FILE is valid, nor the address of a feed: for when the database that knew which were revoked since is lost.",
)
@click.option("--dry-run", is_flag=True, help="Check the file as a whole and change nothing.")
@json_option
def restore_command(file: Path, *, force: bool, revoke_tokens: bool, dry_run: bool, as_json: bool) -> None:
    """Replace the database by what FILE holds, all of it or nothing, and check every row.

    The scheduler is paused then: it makes and ends nothing until `booking resume`. Every login ends.
    """
    with file.open("rb") as handle:
        archive = backup.Archive(handle)
        if dry_run:
            _tell(archive.manifest, as_json=as_json, differences=[])
            return
        ctx = context.new_context()
        _restore(ctx, archive, force=force, revoke_tokens=revoke_tokens)
    from booking.services.verify import differences

    found = differences(ctx)
    _tell(archive.manifest, as_json=as_json, differences=found)
    if not as_json:
        click.echo("\n".join(found) or "all is well")
        click.echo("The scheduler is paused: `booking resume` lets it go on.")
        click.echo(told_outside(ctx))
    raise SystemExit(1 if found else 0)


def _restore(ctx: Context, archive: backup.Archive, *, force: bool, revoke_tokens: bool) -> None:
    from booking.services.restore import restore

    try:
        restore(ctx, archive, force=force, revoke_tokens=revoke_tokens)
    except migrate.DatabaseIsNewer as error:
        raise click.ClickException(str(error)) from None


def _tell(manifest: backup.Manifest, *, as_json: bool, differences: list[str]) -> None:
    if as_json:
        print_json({**asdict(manifest), "ok": not differences, "differences": differences})
        return
    made = f"of {manifest.created_at} by release {manifest.release}"
    click.echo(f"A backup {made}, revision {manifest.revision}: {manifest.rows} rows.")
