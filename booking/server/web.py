"""The web server: how gunicorn is started, and what it calls in its processes."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from booking.adapters.local.linux import die_with_parent
from booking.config import Settings
from booking.server.beginning import configure_logging
from booking.server.parts import READY, python

GRACE_SECONDS = 30
"""How long running requests may take, and a tick of the scheduler, when the parts are renewed."""
KEEP_SECONDS, KEEP_FOR_PROXIES_SECONDS = 2, 75
"""How long a connection is kept for the next request. A proxy closes its own after a minute: ours stay longer,
so that none of its requests meets a connection that is just being closed."""


def command(settings: Settings, listener: int) -> tuple[str, ...]:
    """How it is started on a socket that is there already."""
    keep = KEEP_FOR_PROXIES_SECONDS if settings.proxies else KEEP_SECONDS
    return python(
        "gunicorn",
        *("--config", "python:booking.server"),
        *("--bind", f"fd://{listener}"),
        *("--worker-class", "gthread"),
        *("--workers", str(settings.workers), "--threads", str(settings.threads)),
        *("--graceful-timeout", str(GRACE_SECONDS)),
        *("--keep-alive", str(keep)),
        *("--log-level", "warning"),
        "--no-control-socket",
        "booking:create_app()",
    )


def on_starting(_arbiter: object) -> None:
    """Gunicorn calls this in the process that starts the others, which logs as they do."""
    configure_logging()


def post_fork(_arbiter: object, _worker: object) -> None:
    """Gunicorn calls this in each new web process: it shall not outlive the one that started it."""
    die_with_parent(signal.SIGKILL)
    configure_logging()


def post_worker_init(_worker: object) -> None:
    """Gunicorn calls this in each web process that can answer: the supervisor may be waiting for it."""
    if READY in os.environ:
        with suppress(OSError):  # one that is started later tells nobody
            os.write(int(os.environ[READY]), b".")
