"""Loaded by the Dask scheduler: the one page that it serves says whether all workers have joined."""

from __future__ import annotations

import os
from typing import Any

from tornado import web


class HealthHandler(web.RequestHandler):
    """Answers 200 when as many workers as were booked are there, 503 before."""

    def initialize(self, dask_server: Any) -> None:
        self._scheduler = dask_server

    def get(self) -> None:
        expected = int(os.environ["BOOKING_EXPECTED_WORKERS"])
        joined = len(self._scheduler.workers)
        # Once all were there, a worker that is being replaced does not make the cluster unready.
        self._scheduler.booking_was_complete = joined >= expected or getattr(
            self._scheduler, "booking_was_complete", False
        )
        if not self._scheduler.booking_was_complete:
            self.set_status(503)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(f"{joined} of {expected} workers\n")


routes: list[tuple[str, type[web.RequestHandler], dict[str, object]]] = [("/health", HealthHandler, {})]
