"""The Chromium of the machine, one for each process: Playwright does not run twice in a thread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_open: list[Browser] = []


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that is open in this process, else one of its own: `CHROMIUM`, or the first installed."""
    if _open:
        yield _open[0]
        return
    names = (os.environ.get("CHROMIUM", ""), *NAMES)
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    assert found is not None, "this needs Chromium: run tools/setup.sh browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        _open.append(browser)
        try:
            yield browser
        finally:
            _open.remove(browser)
            browser.close()
