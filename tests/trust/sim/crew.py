"""A few processes that share a list of jobs, so that every core simulates."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from typing import TypeVar

from tests.trust.sim.hub import Aims
from tests.trust.sim.site import prepare
from tests.trust.sim.world import Result, simulate

Job = TypeVar("Job")
Done = TypeVar("Done")
_JOBS_EACH = 200
"""After so many jobs a process is replaced by a fresh one."""
_GARBAGE = (50_000, 20, 100)
"""When to look for it: a run makes hardly any, and what it leaves is collected at its end."""


def share(act: Callable[[Job], Done], jobs: Sequence[Job]) -> Iterator[Done]:
    """What the act makes of each job, as it is done.

    Processes are started anew and not forked: each has another hash seed, so that a run whose trace
    depended on the order of a set would be noticed.
    """
    cores = len(os.sched_getaffinity(0))
    workers = min(cores, 8, len(jobs))
    if workers < 1:
        return
    with get_context("spawn").Pool(workers, _begin, maxtasksperchild=_JOBS_EACH) as crew:
        yield from crew.imap_unordered(act, jobs)


def _begin() -> None:
    """What a process has made before its first job stays to its end: nobody looks there for garbage."""
    prepare()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def run(job: tuple[int, Aims]) -> Result:
    """One seed; what its dead processes leave behind is collected at once."""
    seed, aims = job
    result = simulate(seed, aims=aims)
    gc.collect()
    return result
