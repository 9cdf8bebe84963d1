"""The application factory: settings in, a Flask application out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.middleware.proxy_fix import ProxyFix

from booking import api, metrics, pages, seen
from booking.api import guard, noun
from booking.config import Settings, read_settings, secret_key
from booking.doors import POOL_SECONDS, Db, Doors, SystemClock, SystemIds, open_engine, prepare_engine
from booking.models import Base
from booking.postgres import REQUEST_SECONDS, within
from booking.replica import STANDBY_SECONDS, ReadingDb
from booking.resources import static_path, templates_path
from booking.services.context import Context

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

db = SQLAlchemy(model_class=Base, disable_autonaming=True)
"""Holds the engine of an application; sessions are opened by the Db door."""


def build(settings: Settings | None = None, doors: Doors | None = None) -> Flask:
    """An application with its own engine, unless `doors` bring one."""
    settings = settings or read_settings(os.environ)
    app = Flask(
        "booking",
        template_folder=str(templates_path()),
        static_folder=str(static_path()),
        static_url_path="/static",
    )
    ids = doors.ids if doors else SystemIds()
    app.config.update(
        SECRET_KEY=secret_key(settings, ids),
        SQLALCHEMY_DATABASE_URI=settings.url,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_pre_ping": True,
            "hide_parameters": True,
            # Enough for every thread; who finds all taken nevertheless is told so, and does not queue.
            "max_overflow": settings.threads,
            "pool_timeout": POOL_SECONDS,
        },
        # Browsers keep a name with that beginning to this host and to https.
        SESSION_COOKIE_NAME="__Host-session" if settings.secure_cookies else "session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        PERMANENT_SESSION_LIFETIME=timedelta(days=settings.session_days),
        MAX_CONTENT_LENGTH=2**20,
    )
    app.wsgi_app = _in_time(app.wsgi_app)  # type: ignore[assignment, method-assign]
    made = doors or _system_doors(app, settings)
    ctx = Context(made, settings, replica=_replica(made, settings))
    app.extensions["booking"] = ctx
    seen.init_app(app, ctx)
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies)  # type: ignore[method-assign]
    api.init_app(app)
    pages.init_app(app)
    noun.needs(noun.PUBLIC)(app.view_functions["static"])
    guard.refuse_undeclared(app)
    return app


def _in_time(answer: WSGIApplication) -> WSGIApplication:
    """The application, whose every request is answered in time though the database is silent."""

    def answer_in_time(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        with within(REQUEST_SECONDS):
            return answer(environ, start)

    return answer_in_time


def _system_doors(app: Flask, settings: Settings) -> Doors:
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    db.init_app(app)
    with app.app_context():
        engine = prepare_engine(db.engine, serving=True)
    metrics.watch(engine, settings.threads)
    clock = SystemClock()
    return Doors(clock, SystemIds(), Db(engine, clock))


def _replica(primary: Doors, settings: Settings) -> Context | None:
    """The context of who reads calendars, with caches of its own: the other server counts its own history."""
    if not settings.replica_url:
        return None
    standby = Db(open_engine(settings.replica_url, serving=True), primary.clock, STANDBY_SECONDS)
    reading = ReadingDb(primary.db, standby, primary.clock)
    return Context(replace(primary, db=reading), settings)


def context_of(app: Flask) -> Context:
    """The context an application was built with."""
    context: Context = app.extensions["booking"]
    return context
