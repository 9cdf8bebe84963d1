"""A backup holds everything, from either database into either; a restored database is another one."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from booking import migrate
from booking.config import Settings
from booking.doors import Db, Doors
from booking.errors import BadBackup, Conflict, Unauthenticated
from booking.models import Account, Leadership, Pause, Pool
from booking.services import accounts, backup, feeds, leadership, restore, tokens
from booking.services.context import Context
from booking.services.verify import differences
from tests.drills.world import inhabited
from tests.support.doors import Opened, SequenceIds, TestClock
from tests.support.site import Site

RENEWED = {"account", "journal", "pool"}
"""Tables of which a restore changes something."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def target(
    request: pytest.FixtureRequest, opened: Opened, clock: TestClock, tmp_path: Path
) -> Iterator[Context]:
    """An empty database of either kind; the one that is backed up is of either kind too."""
    url = f"sqlite:///{tmp_path / 'target.db'}"
    if request.param == "postgres":
        from uuid import uuid4

        from tests.support.postgres import database

        with database(request.getfixturevalue("postgres_server"), f"booking_{uuid4().hex}") as made:
            yield _context(opened(made.render_as_string(hide_password=False)), clock)
        return
    yield _context(opened(url), clock)


def _context(engine: Any, clock: TestClock) -> Context:
    migrate.upgrade(engine)
    ids = SequenceIds()
    ids._ids = 10**9  # other ids than the first life of the database drew
    return Context(Doors(clock, ids, Db(engine, clock)), Settings())


@pytest.fixture
def site(doors: Doors, clock: TestClock) -> Site:
    return inhabited(doors, clock, clock.now())[0]


def saved(ctx: Context) -> io.BytesIO:
    file = io.BytesIO()
    backup.write(ctx, file, "0")
    return file


def rows(ctx: Context) -> dict[str, list[Any]]:
    archive = backup.Archive(saved(ctx))
    return {part.name: list(archive.rows(part)) for part in archive.manifest.tables}


def test_the_same_state_gives_the_same_bytes(site: Site) -> None:
    assert saved(site.ctx).getvalue() == saved(site.ctx).getvalue()


def test_everything_is_there_after_a_restore_on_either_database(site: Site, target: Context) -> None:
    file = saved(site.ctx)
    restore.restore(target, backup.Archive(file))
    before, after = rows(site.ctx), rows(target)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == RENEWED
    assert next(row for row in after["journal"] if row not in before["journal"])[3] == "database.restored"
    hashes = [
        {part.name: part.sha256 for part in backup.Archive(saved(c)).manifest.tables}
        for c in (site.ctx, target)
    ]
    assert {name for name in hashes[0] if hashes[0][name] != hashes[1][name]} == RENEWED
    assert differences(target) == []


def test_a_restored_database_is_not_taken_for_its_older_self(site: Site, target: Context) -> None:
    person = site.person("ann")
    epoch = leadership.lead(site.ctx, "one")
    assert epoch is not None
    file = saved(site.ctx)
    accounts.change(site.ctx, None, "ann", accounts.AccountChange(password="another one"))

    def state(ctx: Context) -> tuple[dict[str, str], int]:
        return ctx.db.read(
            "state",
            lambda s: (
                {pool.id: pool.epoch for pool in s.scalars(select(Pool))},
                s.get_one(Account, person.id).session_epoch,
            ),
        )

    restore.restore(target, backup.Archive(file))
    (pools, session_epoch), (other_pools, other_session_epoch) = state(site.ctx), state(target)
    assert pools.keys() == other_pools.keys()
    assert not set(pools.values()) & set(other_pools.values())
    assert other_session_epoch > session_epoch
    assert not leadership.is_led(target)
    led = leadership.lead(target, "the next one")
    assert led is not None
    assert led > epoch + 10**6
    assert "restored from a backup of 2030-" in str(
        target.db.read("pause", lambda s: s.scalar(select(Pause.reason)))
    )
    assert target.db.read("rows", lambda s: len(s.scalars(select(Leadership)).all())) == 1


def test_a_database_in_use_is_replaced_only_by_force(site: Site, doors: Doors, clock: TestClock) -> None:
    archive = backup.Archive(saved(site.ctx))
    site.person("a later one")
    with pytest.raises(Conflict, match=r"in use .*account.*--force"):
        restore.restore(site.ctx, archive)
    assert "a later one" in str(rows(site.ctx)["account"])
    restore.restore(site.ctx, archive, force=True)
    assert "a later one" not in str(rows(site.ctx)["account"])
    assert differences(site.ctx) == []
    clock.advance(timedelta(seconds=1))
    restore.restore(site.ctx, backup.Archive(saved(site.ctx)), force=True)  # and once more


def test_a_token_that_was_revoked_since_the_backup_is_not_valid_again(site: Site, target: Context) -> None:
    ann = site.person("ann")
    kept, gone = (tokens.make(site.ctx, ann, "ann", ["bookings:read"], name) for name in ("kept", "gone"))
    feed = feeds.make(site.ctx, ann)
    archive = backup.Archive(saved(site.ctx))
    tokens.revoke(site.ctx, ann, gone.row.id)
    restore.restore(site.ctx, archive, force=True)
    assert is_valid(site.ctx, kept)
    assert not is_valid(site.ctx, gone)
    assert feeds.owner(site.ctx, feed.secret) == ann.id

    restore.restore(target, archive)
    assert is_valid(target, gone), "that database has never heard of its end"
    restore.restore(target, archive, force=True, revoke_tokens=True)
    assert not is_valid(target, kept)
    assert not is_valid(target, gone)
    assert feeds.owner(target, feed.secret) is None


def is_valid(ctx: Context, token: tokens.FreshToken) -> bool:
    try:
        return bool(tokens.actor_of_bearer(ctx, token.secret))
    except Unauthenticated:
        return False


def changed(file: io.BytesIO, member: str, change: Callable[[bytes], bytes]) -> io.BytesIO:
    """The backup with one member changed."""
    fresh = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(fresh, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == member else content)
    return fresh


def told(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda manifest: json.dumps(json.loads(manifest) | changes).encode()


@pytest.mark.parametrize(
    "member, change, says",
    [
        ("pool.jsonl", lambda lines: lines.replace(b"1000", b"2000"), "table pool is not as the manifest"),
        ("pool.jsonl", lambda lines: lines + lines, "table pool is not as the manifest"),
        ("manifest.json", told(format="another"), "no backup of this service"),
        ("manifest.json", told(version=2), "does not know its form"),
        ("manifest.json", told(revision="9999"), "does not know its form"),
        ("manifest.json", lambda _: b"{}", "no whole backup"),
        ("manifest.json", lambda _: b"[]", "no whole backup"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused_when_it_is_opened(
    site: Site, member: str, change: Callable[[bytes], bytes], says: str
) -> None:
    with pytest.raises(BadBackup, match=says):
        backup.Archive(changed(saved(site.ctx), member, change))


@pytest.mark.parametrize("bytes_left", [0, 100, -1, -1000])
def test_a_backup_that_was_cut_off_is_refused(site: Site, bytes_left: int) -> None:
    with pytest.raises(BadBackup, match="no whole backup"):
        backup.Archive(io.BytesIO(saved(site.ctx).getvalue()[:bytes_left]))


def test_rows_that_break_a_rule_leave_the_database_as_it_was(site: Site, target: Context) -> None:
    """The hashes may agree and the rows be nonsense all the same: then nothing is replaced."""
    archive = backup.Archive(saved(site.ctx))
    whole = archive.rows

    def broken(part: backup.TablePart) -> Iterator[list[Any]]:
        for row in whole(part):
            yield [*row[:-1], None] if part.name == "reservation" else row

    archive.rows = broken  # type: ignore[method-assign]
    before = rows(target)
    with pytest.raises(BadBackup, match="break a rule"):
        restore.restore(target, archive)
    assert rows(target) == before


def test_a_backup_of_an_earlier_revision_is_migrated(site: Site, target: Context) -> None:
    engine = site.ctx.db.engine
    migrate.downgrade(engine, "0002")
    archive = backup.Archive(_of_revision("0002", saved(site.ctx)))
    restore.restore(target, archive)
    assert migrate.is_current(target.db.engine)
    assert differences(target) == []
    with engine.connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM booking")).scalar_one()
    assert len(rows(target)["booking"]) == count


def _of_revision(revision: str, file: io.BytesIO) -> io.BytesIO:
    """As that release would have written it."""
    return changed(file, "manifest.json", told(revision=revision))
