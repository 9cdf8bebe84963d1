"""A standby that every commit waits for takes over amid the traffic: nothing that was answered is missing."""

from __future__ import annotations

import threading
import time

from tests.trust.chaos.calls import Caller, Tally
from tests.trust.chaos.clients import Client, Crowd
from tests.trust.chaos.judge import compare, verified
from tests.trust.chaos.stage import seen, stage
from tests.trust.failover.pair import pair
from tests.trust.proof import Finding

CLIENTS = 3
CALM_SECONDS = 4.0
ALONE_SECONDS = 8.0
"""How long the primary is without its standby: longer than a request waits."""


def prove(finding: Finding, seed: int) -> None:
    crowd, tally = Crowd(), Tally()
    with (
        pair() as both,
        stage(
            both.primary.url.set(database="booking"), served=both.url("booking"), cores=64, workers=2
        ) as made,
    ):
        both.wait_for_standby()
        caller = Caller(made.url, made.token, tally)
        clients = [Client(number, seed, caller, crowd, pause=0.1) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.live) for client in clients]
        for thread in threads:
            thread.start()
        time.sleep(CALM_SECONDS)
        both.cut()
        before = len(crowd.told)
        time.sleep(ALONE_SECONDS)
        alone = len(crowd.told) - before
        both.fail_over()
        time.sleep(CALM_SECONDS)
        crowd.stop.set()
        for thread in threads:
            thread.join()
        finding.show(
            "with a synchronous standby: bookings answered 201", len(crowd.told), "> 0", bool(crowd.told)
        )
        # What was on its way when the standby was cut off may still arrive.
        finding.show("of them while the standby was away", alone, f"<= {CLIENTS}", alone <= CLIENTS)
        finding.show("answered 503 meanwhile", tally.answers[503], "> 0", tally.answers[503] > 0)
        finding.zero("answered with another error", tally.errors)
        finding.show("slowest answer, seconds", round(tally.slowest, 1), "<= 10", tally.slowest <= 10)
        finding.faults += sorted({*tally.faults, *crowd.faults})[:5]
        made.site.ctx.db.engine.dispose()
        made.site = seen(
            both.standby.url.set(database="booking").render_as_string(hide_password=False),
            made.folder / "home",
        )
        compare(finding, made, crowd)
        verified(finding, made)
