"""`python -m tests.bench.sharding`: many pools on one database, or spread over several (shards), simulated.

Service times are measured (`tests.bench.growth` writes them); queues are simulated. A request takes a core of the web
servers. A booking then waits for the lock of its pool and holds it, and takes a core of the pool's database
meanwhile; a calendar takes such a core only. Some bookings need a second pool: they hold the locks of both, one after
the other, and where these are on two databases, both for one more round and flush, as a commit in two phases has it.
Each booking counts against limits of its account, which are kept in one place: on another database than the pool's
that is a lock of its own and a round there. A list of one's own bookings asks every database and waits for the slowest.

JSON lines: one for each load, number of shards and seed. Not simulated: failures, garbage, caches that are
cold, the network's own queues. Web servers are as many as the load needs, so that what is seen is the databases.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

TIMES = Path(__file__).with_name("times.json")
Then = Callable[[], None]


@dataclass(frozen=True)
class Times:
    """Milliseconds."""

    book_web_ms: float
    book_database_ms: float
    hold_ms: float
    read_web_ms: float
    read_database_ms: float
    http_ms: float = 1.0
    """What a web server spends on any request: the plain endpoint of ADR 9."""
    round_ms: float = 0.5
    """A question to another database and back."""
    flush_ms: float = 1.0
    """A commit that another database has on its disk."""

    @staticmethod
    def of(path: Path) -> Times:
        """From the last line of a file that `tests.bench.growth` printed."""
        said = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        return Times(**{name: said[name] for name in Times.__dataclass_fields__ if name in said})


@dataclass(frozen=True)
class Scene:
    """What is simulated."""

    shards: int
    books: float
    """A second."""
    reads: float
    pools: int = 64
    skew: float = 1.0
    """Of Zipf: 0 is every pool alike, 1 is what people do."""
    across: float = 0.02
    """Share of bookings that need a second pool."""
    lists: float = 0.1
    """Share of reads that ask every database."""
    cores: int = 4
    """Of each database."""
    requests: int = 6000


class Station:
    """So many servers and one queue: who came first is served first."""

    def __init__(self, world: World, servers: int) -> None:
        self._world, self._free, self._queue = world, servers, deque[tuple[float, Then]]()
        self.busy = 0.0

    def serve(self, seconds: float, then: Then) -> None:
        """Be served for so long, as soon as it is one's turn."""
        self._queue.append((seconds, then))
        self._next()

    def _next(self) -> None:
        if not (self._free and self._queue):
            return
        seconds, then = self._queue.popleft()
        self._free -= 1
        self.busy += seconds

        def done() -> None:
            self._free += 1
            self._next()
            then()

        self._world.after(seconds, done)


class Lock:
    """One holder, and who waits in order."""

    def __init__(self, world: World) -> None:
        self._world, self._waiting, self._held, self._since = world, deque[Then](), False, 0.0
        self.busy = 0.0

    def take(self, then: Then) -> None:
        if self._held:
            self._waiting.append(then)
            return
        self._held, self._since = True, self._world.now
        then()

    def give(self) -> None:
        self.busy += self._world.now - self._since
        self._held = False
        if self._waiting:
            self.take(self._waiting.popleft())


@dataclass
class World:
    """The queues of one run."""

    scene: Scene
    times: Times
    seed: int
    now: float = 0.0
    waits: dict[str, list[float]] = field(default_factory=lambda: {"book": [], "read": [], "list": []})

    def __post_init__(self) -> None:
        scene = self.scene
        self._chance, self._order = random.Random(self.seed), count()
        self._events: list[tuple[float, int, Then]] = []
        times = self.times
        demand = scene.books * (times.http_ms + times.book_web_ms)
        demand += scene.reads * (times.http_ms + times.read_web_ms)
        self.web_cores = max(2, math.ceil(demand / 1e3 / 0.6))
        self.web = Station(self, self.web_cores)
        self.shards = [Station(self, scene.cores) for _ in range(scene.shards)]
        self.locks = [Lock(self) for _ in range(scene.pools)]
        ranks = list(range(1, scene.pools + 1))
        self._chance.shuffle(ranks)
        self._weights = [rank**-scene.skew for rank in ranks]

    def after(self, seconds: float, then: Then) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), then))

    def run(self) -> dict[str, Any]:
        """Let everybody come, and go on until all are gone."""
        scene, at = self.scene, 0.0
        for _ in range(scene.requests):
            at += self._chance.expovariate(scene.books + scene.reads)
            books = self._chance.random() < scene.books / (scene.books + scene.reads)
            heapq.heappush(self._events, (at, next(self._order), self._book if books else self._read))
        while self._events:
            self.now, _, act = heapq.heappop(self._events)
            act()
        return self._found(at)

    def _around(self, milliseconds: float) -> float:
        """Seconds that vary about a mean as the measured ones do: half as much again is not rare."""
        return self._chance.gammavariate(4, milliseconds / 4e3)

    def _pool(self) -> int:
        return self._chance.choices(range(self.scene.pools), self._weights)[0]

    def _read(self) -> None:
        began, times = self.now, self.times
        everywhere = self._chance.random() < self.scene.lists
        asked = self.shards if everywhere else [self.shards[self._pool() % self.scene.shards]]
        kind = "list" if everywhere else "read"
        left = [len(asked)]

        def one() -> None:
            left[0] -= 1
            if not left[0]:
                self.waits[kind].append(self.now - began)

        def ask() -> None:
            for shard in asked:
                shard.serve(self._around(times.read_database_ms), one)

        self.web.serve(self._around(times.http_ms + times.read_web_ms), ask)

    def _book(self) -> None:
        began, scene, times = self.now, self.scene, self.times
        wanted = {self._pool()}
        if self._chance.random() < scene.across:
            wanted.add(self._pool())
        pools = sorted(wanted)  # in order, so that nobody waits in a circle
        touched = {pool % scene.shards for pool in pools}
        home = self._chance.randrange(scene.shards)  # where the limits of the account are counted
        thinking = max(0.0, times.hold_ms - times.book_database_ms)
        more = times.round_ms if home not in touched else 0.0
        more += times.round_ms + times.flush_ms if len(touched | {home}) > 1 else 0.0

        def acquire(rest: Sequence[int]) -> None:
            if rest:
                self.locks[rest[0]].take(lambda: acquire(rest[1:]))
            else:
                self.shards[pools[0] % scene.shards].serve(self._around(times.book_database_ms), second)

        def second() -> None:
            others = sorted((touched | {home}) - {pools[0] % scene.shards})
            if others:
                self.shards[others[0]].serve(self._around(times.book_database_ms / 2), decide)
            else:
                decide()

        def decide() -> None:
            self.after(self._around(thinking * len(pools) + more), leave)

        def leave() -> None:
            for pool in pools:
                self.locks[pool].give()
            self.waits["book"].append(self.now - began)

        self.web.serve(self._around(times.http_ms + times.book_web_ms), lambda: acquire(pools))

    def _found(self, last: float) -> dict[str, Any]:
        scene = self.scene
        database = max(shard.busy for shard in self.shards) / scene.cores / last
        pool = max(lock.busy for lock in self.locks) / last
        found: dict[str, Any] = {
            "what": "sharding",
            "shards": scene.shards,
            "pools": scene.pools,
            "books": scene.books,
            "reads": scene.reads,
            "seed": self.seed,
            # More work than time: the queues grow for as long as people come.
            "keeps_up": database < 1 and pool < 1,
            "web_cores": self.web_cores,
            "busiest_database": round(database, 3),
            "busiest_pool": round(pool, 3),
        }
        for kind, waits in self.waits.items():
            ordered = sorted(waits)
            for percent in (50, 99):
                at = min(len(ordered) - 1, len(ordered) * percent // 100)
                found[f"{kind}_p{percent}_ms"] = round(ordered[at] * 1e3, 1) if ordered else None
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sharding", description=__doc__)
    parser.add_argument("--times", type=Path, default=TIMES, help="what tests.bench.growth has printed")
    parser.add_argument("--books", type=float, default=0.1, help="bookings a second of the base load")
    parser.add_argument("--reads", type=float, default=2.0, help="calendars a second of the base load")
    parser.add_argument(
        "--loads", type=float, nargs="+", default=[1, 10, 100, 1000], help="times the base load"
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4, 16])
    parser.add_argument("--pools", type=int, default=64)
    parser.add_argument("--skew", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=6000)
    options = parser.parse_args(arguments)
    times = Times.of(options.times)
    for load in options.loads:
        for shards in options.shards:
            scene = Scene(
                shards,
                options.books * load,
                options.reads * load,
                options.pools,
                options.skew,
                requests=options.requests,
            )
            for seed in range(options.seeds):
                print(json.dumps({"load": load, **World(scene, times, seed).run()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
