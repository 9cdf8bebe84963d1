"""Waiting for the outside: a bounded number of looks, never a blind pause."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOKS = 2400
STEP_SECONDS = 0.1


def eventually(look: Callable[[], T], *, looks: int = LOOKS) -> T:
    """The first truthy answer of `look`; at most four minutes by default.

    :raises AssertionError: with the last answer, if none came.
    """
    pause = threading.Event()
    answer = look()
    for _ in range(looks):
        if answer:
            return answer
        pause.wait(STEP_SECONDS)
        answer = look()
    raise AssertionError(f"waited in vain; the last answer was {answer!r}")
