"""One scheduler as a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading

from apscheduler.schedulers.blocking import BlockingScheduler

from booking import exposition, scheduler
from booking.adapters.base import Provisioner
from booking.config import Settings
from booking.lanes import Lanes
from booking.server.beginning import configure_logging
from booking.server.parts import SIGNALS
from booking.services.context import Context

log = logging.getLogger(__name__)


def run_scheduler(ctx: Context, provisioner: Provisioner, lanes: Lanes) -> None:
    """Run one scheduler until SIGTERM or SIGINT; a tick that has begun is finished."""
    configure_logging()
    holder = f"{socket.gethostname()}:{os.getpid()}:{ctx.ids.new()[:8]}"
    one = scheduler.Scheduler(ctx, provisioner, holder, lanes)
    log.info("scheduler %s, clusters by %s", holder, provisioner.name)
    _tell_metrics(ctx.settings)
    scheduler.run(one, ctx.settings.tick_seconds, _end_by_signal)


def _tell_metrics(settings: Settings) -> None:
    """A scheduler that runs by itself tells its metrics where it was told to; within a service the web does."""
    if settings.metrics_port and exposition.FOLDER not in os.environ:
        try:
            exposition.serve(settings)
        except OSError as error:
            log.error("the metrics are not told: port %s: %s", settings.metrics_port, error.strerror)


def _end_by_signal(beat: BlockingScheduler) -> None:
    def end() -> None:
        if beat.running:
            beat.shutdown()

    def stop(_number: int, _frame: object) -> None:
        # In a thread of its own: the interrupted one may hold a lock that shutdown needs.
        threading.Thread(target=end).start()

    for number in SIGNALS:
        signal.signal(number, stop)
