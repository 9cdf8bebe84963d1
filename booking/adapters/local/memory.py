"""Keeps a tree of processes within its booked memory: the largest are ended when it is too much."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from booking.adapters.local import processes


@dataclass(frozen=True)
class Budget:
    """The processes `pids` together may use `ceiling` MiB; `booked` is what their owner is told."""

    owner: str
    booked: int
    ceiling: int
    pids: set[int]


def enforce(budget: Budget) -> str | None:
    """End the largest processes of a tree that uses too much, until it fits; a sentence about it for the user."""
    # Resident memory is quick to read and never less than what is really used.
    if processes.resident_mib(budget.pids) <= budget.ceiling:
        return None
    used = {pid: processes.proportional_mib(pid) for pid in budget.pids}
    total = sum(used.values())
    if total <= budget.ceiling:
        return None
    victims: list[int] = []
    kept = total
    for pid in sorted(used, key=lambda pid: used[pid], reverse=True):
        if kept <= budget.ceiling:
            break
        victims.append(pid)
        kept -= used[pid]
    largest = processes.look(victims[0])
    processes.kill(victims, signal.SIGKILL)
    name = largest.name if largest else "a program"
    more = f" and {len(victims) - 1} more were" if len(victims) > 1 else " was"
    return (
        f"{budget.owner} used {total:.0f} MiB of memory, {budget.booked} MiB are booked: "
        f"{name} ({used[victims[0]]:.0f} MiB){more} ended."
    )
