"""Generated calls, by schemathesis, against the application behind a real server; each answer is counted."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.test_contract import _ENDS_ITS_OWN_TOKEN, CONFIG
from tests.security.world import World, open_world
from tests.support.served import served

SCOPES = ("availability:read", "bookings:read", "bookings:write", "accounts:read")
ROLES = {"nobody": None, "user": ("ada", *SCOPES), "administrator": ("root", "admin", *SCOPES)}


@dataclass(frozen=True)
class Fuzzed:
    """What one run of it did."""

    role: str
    requests: int
    broken: int
    """Answers 5xx."""
    breaches: str
    """What it found wrong; empty where nothing was."""


class _Counting:
    """A WSGI application that notes the status of each answer."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self._inner = inner
        self.statuses: Counter[int] = Counter()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def noted(status: str, *more: Any) -> Any:
            self.statuses[int(status[:3])] += 1
            return start(status, *more)

        return self._inner(environ, noted)


def fuzz(role: str, examples: int, seed: int, patience: float) -> Fuzzed:
    """Generate calls as somebody of that role."""
    with tempfile.TemporaryDirectory() as folder, open_world(Path(folder)) as world:
        counting = _Counting(world.app.wsgi_app)
        world.app.wsgi_app = counting  # type: ignore[method-assign,assignment]
        with served(world.app) as url:
            run = subprocess.run(
                _command(world, url, role, examples, seed),
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
    broken = sum(count for status, count in counting.statuses.items() if status >= 500)
    said = re.sub(r"\s+", " ", run.stdout[-1500:] + run.stderr[-300:]) if run.returncode else ""
    return Fuzzed(role, counting.statuses.total(), broken, said)


def _command(world: World, url: str, role: str, examples: int, seed: int) -> list[str]:
    known = ROLES[role]
    header = ["--header", f"Authorization: Bearer {world.token(*known)}"] if known else []
    return [
        *(str(Path(sys.executable).with_name("st")), "--config-file", str(CONFIG), "run"),
        *("--workers", "1", "--max-examples", str(examples), "--seed", str(seed), "--no-color"),
        *("--continue-on-failure", "--phases", "examples,coverage,fuzzing,stateful", *header),
        *(part for path in _ENDS_ITS_OWN_TOKEN for part in ("--exclude-path", path)),
        f"{url}/api/v1/openapi.json",
    ]
