"""The loss of a primary as a proof, in both ways of replication."""

from __future__ import annotations

from tests.support.postgres import can_replicate
from tests.trust.failover import asynchronous, synchronous
from tests.trust.proof import Finding, Scale

PROMISE = (
    "A standby takes over: what its predecessor alone had committed is in nobody's answers any more, and with "
    "a synchronous standby nothing that was answered is missing."
)
ROUNDS = {Scale.QUICK: 0, Scale.SHORT: 1, Scale.FULL: 20}
"""How often a synchronous standby takes over amid the traffic."""


def prove(scale: Scale, seed: int) -> Finding:
    finding = Finding()
    if not can_replicate():
        finding.remarks.append(
            "Not shown: this PostgreSQL comes without pg_basebackup, so there is no standby."
        )
        return finding
    asynchronous.prove(finding)
    for round_ in range(ROUNDS[scale]):
        synchronous.prove(finding, seed + round_)
    if not ROUNDS[scale]:
        finding.remarks.append(
            "Only the asynchronous standby; the synchronous one is a part of the longer runs."
        )
    return finding
