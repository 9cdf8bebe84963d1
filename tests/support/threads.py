"""Acts of a test that happen at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds that a test waits for a thread before it gives up."""


def in_threads(*acts: Callable[[], object]) -> None:
    """Run the acts at once and wait for all; the first error of one is raised here."""
    errors: list[BaseException] = []

    def guarded(act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  # raised again below, where the test sees it
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 2)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]
