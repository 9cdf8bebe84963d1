"""Each alarm is fired on purpose: `/readyz`, the doctor and the log say it, and are silent again afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from booking import create_app
from booking.adapters.null import NullProvisioner
from booking.config import Settings
from booking.doors import Doors
from booking.services import checks, doctor, pausing, work
from tests.support.doors import TestClock
from tests.support.pages import PageSite, at, make_page_site

SECOND = timedelta(seconds=1)
LOOK = timedelta(minutes=2)
"""Time for an audit and a sweep."""


class Watch:
    """Whoever watches a site: what is asked of it, and what it says by itself."""

    def __init__(self, site: PageSite, log: pytest.LogCaptureFixture) -> None:
        self.site, self.log = site, log

    def ready(self) -> str:
        """What `/readyz` says is missing; empty while it is 200."""
        answer = self.site.app.test_client().get("/readyz")
        return "" if answer.status_code == 200 else str(answer.get_json()["detail"])

    def fault(self, name: str) -> str | None:
        """What one check of the doctor finds."""
        (check,) = [check for check in checks.CHECKS if check.name == name]
        (result,) = doctor.examine(doctor.Patient(self.site.ctx, lambda: self.site.provisioner), [check])
        return result.fault

    def pass_time(self) -> None:
        self.log.clear()
        self.site.pass_time(LOOK)

    def say(self, statement: str) -> None:
        with self.site.ctx.db.engine.begin() as connection:
            connection.execute(text(statement))


@pytest.fixture
def watch(doors: Doors, clock: TestClock, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Watch:
    """A site with a booking, watched; all is quiet."""
    caplog.set_level(logging.WARNING)
    app = create_app(Settings(home=tmp_path, provisioner="null", secret_key="s" * 32), doors)
    outside = NullProvisioner(clock)
    app.extensions["booking.provisioner"] = lambda: outside
    site = make_page_site(app)
    site.book("grace", "large", at(0), at(8))
    made = Watch(site, caplog)
    made.pass_time()
    assert made.ready() == ""
    return made


def test_an_oversold_hour_closes_the_pool(watch: Watch) -> None:
    watch.say("UPDATE inventory SET cores = 4")
    watch.pass_time()
    assert "the pool main is closed" in watch.ready()
    assert "oversold" in str(watch.fault("pools open"))
    assert "the pool main is at fault and closed" in watch.log.text
    watch.say("UPDATE inventory SET cores = 8")
    watch.pass_time()
    assert (watch.ready(), watch.fault("pools open")) == ("", "")


def test_an_orphan(watch: Watch) -> None:
    watch.site.provisioner.lose("orphan00000000000000")
    assert "orphan00000000000000" in str(watch.fault("no orphans"))
    watch.pass_time()
    assert "torn down what belonged to nobody: orphan00000000000000" in watch.log.text
    assert watch.fault("no orphans") == ""


def test_due_work_that_waits(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.say("UPDATE work SET due_at = 1000000")
    assert "has been due since 1970-01-01" in str(watch.fault("work on time"))
    idle: Callable[..., int] = lambda *_: 0  # noqa: E731
    with monkeypatch.context() as stuck:
        stuck.setattr(work, "do_due", idle)
        watch.pass_time()
    assert "work is late: the oldest has been due since 1970-01-01" in watch.log.text
    watch.pass_time()
    assert "work is late" not in watch.log.text
    assert watch.fault("work on time") == ""


def test_a_lead_that_is_not_renewed(watch: Watch) -> None:
    watch.site.clock.advance(11 * SECOND)
    assert "renewed 1" in str(watch.fault("scheduler renews"))
    assert watch.ready() == ""  # another one may be taking over
    watch.site.clock.advance(20 * SECOND)
    assert "no scheduler has led" in watch.ready()
    assert watch.fault("scheduler leads")
    watch.pass_time()
    assert (watch.ready(), watch.fault("scheduler leads")) == ("", "")


def test_a_pause(watch: Watch) -> None:
    pausing.pause(watch.site.ctx, "a look at the machine room")
    watch.pass_time()
    assert "the scheduler is paused: a look at the machine room" in watch.ready()
    assert watch.fault("scheduler works") == "a look at the machine room"
    assert "paused: a look at the machine room" in watch.log.text
    pausing.resume(watch.site.ctx, None, [])
    watch.pass_time()
    assert (watch.ready(), watch.fault("scheduler works")) == ("", "")
