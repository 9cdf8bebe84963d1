"""`booking serve`: one small process that starts the web and the scheduler, watches them, and ends with them.

What dies is started again, with growing patience; only a web server that never came up ends the service,
because starting it again would not cure that. On SIGHUP the parts are renewed while the service goes on: the
new web server answers before the old one ends. If this process is killed, the kernel ends its parts with
it. Clusters stand apart, in sessions of their own: they live on, and the next start finds them.
"""

from booking.server.beginning import configure_logging, set_up
from booking.server.listening import CannotServe, Knock
from booking.server.scheduling import run_scheduler
from booking.server.supervisor import STOP_SECONDS, Supervisor
from booking.server.web import GRACE_SECONDS, on_starting, post_fork, post_worker_init

__all__ = [
    "GRACE_SECONDS",
    "STOP_SECONDS",
    "CannotServe",
    "Knock",
    "Supervisor",
    "configure_logging",
    "on_starting",
    "post_fork",
    "post_worker_init",
    "run_scheduler",
    "set_up",
]
