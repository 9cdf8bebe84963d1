"""What a command works with: settings of the environment, the database, and who acts."""

from __future__ import annotations

import math
import os

import click
from sqlalchemy.exc import ArgumentError

from booking import migrate
from booking.adapters.base import Provisioner
from booking.allocator.policy import Limits
from booking.config import Settings, SettingsError, read_settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.models import AccountKind
from booking.postgres import TRANSACTION_SECONDS
from booking.provisioning import ports_of, provisioner_of
from booking.services import accounts, platforms
from booking.services.context import Actor, Context, actor_of
from booking.services.pausing import Outside

OPERATOR = Actor("", "local operator", AccountKind.SERVICE, 0, is_admin=True, limits=Limits())
"""Whoever may read the database and the secret key on this machine is an administrator of it."""


class WrongEnvironment(click.ClickException):
    """The environment makes no settings."""

    exit_code = 2


def settings() -> Settings:
    """The settings of the environment.

    :raises WrongEnvironment: naming every fault, if it makes none.
    """
    try:
        return read_settings(os.environ)
    except SettingsError as error:
        raise WrongEnvironment("; ".join(error.faults)) from None


def new_context(known: Settings | None = None, *, serving: bool = False) -> Context:
    """The context of one command, its database as it is: not made, not migrated.

    One that is `serving` waits for its database less patiently than a person does.

    :raises WrongEnvironment: if the home folder or the URL of the database cannot be used.
    """
    known = known or settings()
    try:
        known.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = open_engine(known.url, serving=serving)
    except OSError as error:
        raise WrongEnvironment(f"BOOKING_HOME: {known.home} cannot be used: {error.strerror}") from None
    except (ArgumentError, ImportError):
        raise WrongEnvironment(
            "BOOKING_DATABASE_URL is not the URL of an SQLite or PostgreSQL database"
        ) from None
    click.get_current_context().call_on_close(engine.dispose)
    clock = SystemClock()
    db = Db(engine, clock, TRANSACTION_SECONDS if serving else math.inf)
    return Context(Doors(clock, SystemIds(), db), known)


def migrated_context(known: Settings) -> Context:
    """The context of one command, its database made and brought up to date.

    :raises click.ClickException: if a later release made the database.
    """
    ctx = new_context(known)
    try:
        migrate.upgrade(ctx.db.engine)
    except migrate.DatabaseIsNewer as error:
        raise click.ClickException(str(error)) from None
    return ctx


def open_context(*, serving: bool = False) -> Context:
    """The context of one command on a database that is there.

    :raises click.ClickException: if there is none yet, or it is at another release.
    """
    ctx = new_context(serving=serving)
    found = migrate.current(ctx.db.engine)
    if found is None:
        raise click.ClickException(
            f"There is no database in {ctx.settings.home} yet: run `booking init` or `booking serve`."
        )
    if found != migrate.head():
        raise click.ClickException(
            "The database is of another release: run `booking init` to bring it up to date."
        )
    return ctx


def actor_named(ctx: Context, name: str) -> Actor:
    """That account, with what it may do.

    :raises NotFound: if there is none.
    """
    return ctx.db.read("account", lambda session: actor_of(session, accounts.find(session, name)))


def actor(ctx: Context, name: str | None) -> Actor:
    """The named account, or the local operator."""
    return OPERATOR if name is None else actor_named(ctx, name)


def provisioner(known: Settings, installation: str = "") -> Provisioner:
    """What makes clusters here, as the installation of that name.

    :raises WrongEnvironment: if the settings name none.
    """
    try:
        return provisioner_of(known, SystemClock(), installation)
    except ValueError as error:
        raise WrongEnvironment(f"BOOKING_PROVISIONER: {error}") from None


def platforms_of(ctx: Context, installation: str = "") -> list[Outside]:
    """The platforms that make clusters by themselves, to be compared with the rows; none is asked yet."""
    examine = ports_of(ctx, installation)
    return [Outside(setup, examine) for setup in platforms.setups(ctx)]
