"""What every platform that reserves by itself promises; a subclass says which platform is meant.

A real one cannot be broken at will: what its :class:`Platform` does not offer is skipped.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from booking.adapters.base import (
    ClusterSpec,
    Misconfigured,
    NotEnough,
    Pledged,
    Pledges,
    PledgeState,
    ProvisionerError,
    Stranger,
)

RESERVATION = "pledge0contract0one"
OTHER = "pledge0contract0two"
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ABSENT = Pledged(PledgeState.ABSENT)


class Platform(ABC):
    """One platform, its clock, and the means to break something in it."""

    is_down_for_seconds = 5.0
    """Within this a call has failed when the platform is down."""
    ahead = HOUR
    """From the present full hour to the start of what is asked for."""

    @abstractmethod
    def pledges(self, installation: str = "ours") -> Pledges:
        """A new adapter, as after a restart of the service."""

    @abstractmethod
    def now(self) -> datetime: ...

    @abstractmethod
    def wait_for(self, pledges: Pledges, reservation_id: str, state: PledgeState) -> Pledged:
        """Let time pass until that state is seen, within bounds."""

    @abstractmethod
    def made(self, reservation_id: str) -> int:
        """How many things are listed for this reservation outside, whatever their state."""

    def spec(self, reservation_id: str = RESERVATION, **values: Any) -> ClusterSpec:
        """A reservation of an hour that is still to come, which the platform can hold twice."""
        start = self.now().replace(minute=0, second=0, microsecond=0) + self.ahead
        spec = ClusterSpec(
            reservation_id=reservation_id,
            booking_id="contract0booking",
            owner="ada",
            package="small",
            notebook_cores=1,
            notebook_memory_mib=1024,
            worker_cores=8,
            worker_memory_mib=16 * 1024,
            worker_count=2,
            starts_at=start,
            ends_at=start + HOUR,
        )
        return replace(spec, **values)

    @abstractmethod
    def too_large(self, spec: ClusterSpec) -> ClusterSpec:
        """The same with more workers than the platform has room for."""

    @abstractmethod
    def remove(self, reference: str) -> None:
        """Delete it behind the back of the service."""

    @abstractmethod
    def reserve(self, starts_at: datetime, ends_at: datetime) -> Stranger:
        """Somebody else reserves something."""

    def pledges_that_lose_an_answer(self) -> Pledges:
        """An adapter whose next creation has its effect, of which it is told nothing."""
        pytest.skip("answers cannot be lost at will here")

    def copy(self, reference: str) -> str:
        """A second one, made later under the same name; its reference."""
        pytest.skip("names cannot be used twice here")

    def fail(self, reference: str) -> None:
        pytest.skip("what is set aside cannot be broken at will here")

    def degrade(self, reference: str) -> None:
        pytest.skip("hosts do not fail at will here")

    def is_down(self) -> AbstractContextManager[None]:
        pytest.skip("the platform is not stopped at will here")

    def pledges_of_nobody(self) -> Pledges:
        """An adapter with credentials that are not good."""
        pytest.skip("no wrong credentials are known here")


class PledgesContract(ABC):
    """The promises of :class:`booking.adapters.base.Pledges`, one test each."""

    @pytest.fixture
    @abstractmethod
    def platform(self) -> Platform: ...

    @pytest.fixture
    def pledges(self, platform: Platform) -> Pledges:
        return platform.pledges()

    def test_nothing_is_set_aside_at_first(self, pledges: Pledges) -> None:
        assert RESERVATION not in pledges.look()

    @pytest.mark.parametrize(
        "name", ["../../etc", "short", "UPPERCASE", "a" * 41, "line0break\n", "with-dash"]
    )
    def test_an_id_that_could_lead_elsewhere_is_refused(
        self, pledges: Pledges, platform: Platform, name: str
    ) -> None:
        with pytest.raises(ProvisionerError) as refused:
            pledges.pledge(replace(platform.spec(), reservation_id=name))
        assert not refused.value.transient
        with pytest.raises(ProvisionerError):
            pledges.release(name)
        assert not pledges.look()

    def test_what_is_pledged_is_seen_with_its_dates_and_revision(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        spec = platform.spec(revision=7)
        made = pledges.pledge(spec)
        seen = platform.wait_for(pledges, RESERVATION, PledgeState.PENDING)
        assert (seen.starts_at, seen.ends_at, seen.revision) == (spec.starts_at, spec.ends_at, 7)
        assert seen.reference == made.reference != ""
        assert seen.detail

    def test_seconds_are_rounded_so_that_the_whole_span_is_covered(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        spec = platform.spec()
        odd = replace(spec, starts_at=spec.starts_at + MINUTE / 2, ends_at=spec.ends_at - MINUTE / 2)
        pledges.pledge(odd)
        seen = pledges.pledge(odd)
        assert (seen.starts_at, seen.ends_at) == (spec.starts_at, spec.ends_at)
        assert platform.made(RESERVATION) == 1

    def test_pledging_twice_sets_aside_once(self, pledges: Pledges, platform: Platform) -> None:
        first = pledges.pledge(platform.spec())
        again = pledges.pledge(platform.spec())
        assert platform.pledges().pledge(platform.spec()).reference == first.reference == again.reference
        assert platform.made(RESERVATION) == 1

    def test_two_services_that_pledge_at_once_set_aside_once(self, platform: Platform) -> None:
        spec, rivals = platform.spec(), [platform.pledges() for _ in range(2)]
        with ThreadPoolExecutor(len(rivals)) as pool:
            list(pool.map(lambda rival: rival.pledge(spec), rivals))
        assert platform.made(RESERVATION) == 1

    def test_its_time_comes_and_it_tells_where_machines_are_placed(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        pledges.pledge(platform.spec(starts_at=platform.now(), ends_at=platform.now() + HOUR))
        seen = platform.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)
        assert seen.binding
        assert all(seen.binding.values())

    def test_one_whose_start_has_passed_begins_at_once_and_is_not_moved_again(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        spec = platform.spec(starts_at=platform.now() - HOUR, ends_at=platform.now() + HOUR)
        first = pledges.pledge(spec)
        platform.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)
        again = pledges.pledge(spec)
        assert (again.reference, again.starts_at) == (first.reference, first.starts_at)

    def test_one_that_is_over_already_is_not_made(self, pledges: Pledges, platform: Platform) -> None:
        past = platform.spec(starts_at=platform.now() - 2 * HOUR, ends_at=platform.now() - HOUR)
        with pytest.raises(ProvisionerError) as refused:
            pledges.pledge(past)
        assert not refused.value.transient
        assert platform.made(RESERVATION) == 0

    @pytest.mark.parametrize("minutes", [(0, 30), (0, -30), (15, 15), (-15, -15), (120, 120)], ids=str)
    def test_a_changed_span_is_changed_or_refused_whole(
        self, pledges: Pledges, platform: Platform, minutes: tuple[int, int]
    ) -> None:
        spec = platform.spec()
        changed = replace(
            spec,
            starts_at=spec.starts_at + minutes[0] * MINUTE,
            ends_at=spec.ends_at + minutes[1] * MINUTE,
            revision=2,
        )
        before = pledges.pledge(spec)
        self.changes(pledges, changed)
        seen = platform.wait_for(pledges, RESERVATION, PledgeState.PENDING)
        if pledges.may_change:
            assert (seen.starts_at, seen.ends_at, seen.revision) == (changed.starts_at, changed.ends_at, 2)
        else:
            assert seen == before
        assert platform.made(RESERVATION) == 1

    def test_one_that_is_active_can_be_lengthened_and_ended_early(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        spec = platform.spec(starts_at=platform.now(), ends_at=platform.now() + HOUR)
        pledges.pledge(spec)
        platform.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)
        for ends_at in (spec.ends_at + HOUR, spec.ends_at - HOUR / 2):
            self.changes(pledges, replace(spec, ends_at=ends_at))
            seen = platform.wait_for(pledges, RESERVATION, PledgeState.ACTIVE)
            assert seen.ends_at == (ends_at if pledges.may_change else spec.ends_at)

    @pytest.mark.parametrize("workers", [1, 3, 0])
    def test_a_changed_size_is_changed_or_refused_whole(
        self, pledges: Pledges, platform: Platform, workers: int
    ) -> None:
        spec = platform.spec(worker_count=2)
        before = pledges.pledge(spec)
        self.changes(pledges, replace(spec, worker_count=workers, revision=2))
        seen = platform.wait_for(pledges, RESERVATION, PledgeState.PENDING)
        if pledges.may_change:
            assert seen.revision == 2
        else:
            assert seen == before
        assert platform.made(RESERVATION) == 1
        assert pledges.pledge(spec if not pledges.may_change else replace(spec, revision=3)).reference

    def test_a_new_revision_of_the_same_is_only_noted(self, pledges: Pledges, platform: Platform) -> None:
        before = pledges.pledge(platform.spec())
        seen = pledges.pledge(platform.spec(revision=2))
        assert seen == replace(before, revision=2, detail=seen.detail)
        assert pledges.look()[RESERVATION].revision == 2

    def test_what_is_too_large_leaves_nothing_behind(self, pledges: Pledges, platform: Platform) -> None:
        with pytest.raises(NotEnough) as refused:
            pledges.pledge(platform.too_large(platform.spec()))
        assert refused.value.transient
        assert platform.made(RESERVATION) == 0

    def test_a_change_that_is_too_large_leaves_the_earlier_as_it_was(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        before = pledges.pledge(platform.spec())
        with pytest.raises(NotEnough if pledges.may_change else ProvisionerError):
            pledges.pledge(platform.too_large(platform.spec(revision=2)))
        assert platform.wait_for(pledges, RESERVATION, PledgeState.PENDING) == before
        assert pledges.pledge(platform.spec()).reference == before.reference
        assert platform.made(RESERVATION) == 1

    def test_what_is_released_is_gone_and_may_be_released_again(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        pledges.pledge(platform.spec())
        pledges.pledge(platform.spec(OTHER))
        for _ in range(2):
            pledges.release(RESERVATION)
            assert set(pledges.look()) == {OTHER}
        pledges.release("unknown0reservation")
        pledges.pledge(platform.spec())
        assert set(pledges.look()) == {RESERVATION, OTHER}

    def test_what_was_made_without_an_answer_is_adopted(self, platform: Platform) -> None:
        platform.pledges_that_lose_an_answer().pledge(platform.spec())
        pledges = platform.pledges()
        first = platform.wait_for(pledges, RESERVATION, PledgeState.PENDING)
        assert pledges.pledge(platform.spec()).reference == first.reference
        assert platform.made(RESERVATION) == 1

    def test_of_several_the_oldest_is_kept(self, pledges: Pledges, platform: Platform) -> None:
        first = pledges.pledge(platform.spec())
        for _ in range(2):
            platform.copy(first.reference)
        assert platform.made(RESERVATION) == 3
        assert pledges.pledge(platform.spec()).reference == first.reference
        assert platform.made(RESERVATION) == 1

    def test_all_of_several_are_released(self, pledges: Pledges, platform: Platform) -> None:
        platform.copy(pledges.pledge(platform.spec()).reference)
        pledges.release(RESERVATION)
        assert platform.made(RESERVATION) == 0

    def test_what_somebody_deleted_is_absent_and_made_again(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        first = pledges.pledge(platform.spec())
        platform.remove(first.reference)
        assert pledges.look().get(RESERVATION, ABSENT).state is PledgeState.ABSENT
        again = pledges.pledge(platform.spec())
        assert again.reference != first.reference
        assert platform.wait_for(pledges, RESERVATION, PledgeState.PENDING).reference == again.reference

    def test_one_that_lacks_hosts_is_broken(self, pledges: Pledges, platform: Platform) -> None:
        platform.degrade(pledges.pledge(platform.spec()).reference)
        seen = pledges.look()[RESERVATION]
        assert seen.state is PledgeState.BROKEN
        assert seen.detail

    def test_one_that_failed_is_broken_and_made_again(self, pledges: Pledges, platform: Platform) -> None:
        first = pledges.pledge(platform.spec())
        platform.fail(first.reference)
        assert pledges.look()[RESERVATION].state is PledgeState.BROKEN
        again = pledges.pledge(platform.spec())
        assert again.state is PledgeState.PENDING
        assert again.reference != first.reference
        platform.fail(again.reference)
        pledges.release(RESERVATION)
        assert platform.made(RESERVATION) == 0

    def test_one_whose_time_has_passed_is_over_until_it_is_released(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        pledges.pledge(platform.spec(starts_at=platform.now(), ends_at=platform.now() + 3 * MINUTE))
        platform.wait_for(pledges, RESERVATION, PledgeState.OVER)
        pledges.release(RESERVATION)
        assert RESERVATION not in pledges.look()
        assert platform.made(RESERVATION) == 0

    def test_those_of_another_installation_are_strangers(self, platform: Platform) -> None:
        ours, theirs = platform.pledges(), platform.pledges("theirs")
        spec = platform.spec()
        made = theirs.pledge(spec)
        assert not ours.look()
        ours.release(RESERVATION)
        assert theirs.look()[RESERVATION].reference == made.reference
        (stranger,) = ours.strangers()
        assert (stranger.reference, stranger.starts_at) == (made.reference, spec.starts_at)
        assert stranger.cores >= spec.notebook_cores + spec.worker_count * spec.worker_cores
        assert stranger.memory_mib >= spec.notebook_memory_mib + spec.worker_count * spec.worker_memory_mib
        assert ours.pledge(spec).reference != made.reference
        assert theirs.strangers() != ()

    def test_what_others_have_is_told_from_now_on_and_ours_is_not(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        pledges.pledge(platform.spec())
        assert pledges.strangers() == ()
        start = platform.spec().starts_at + 10 * HOUR
        reserved = platform.reserve(start, start + HOUR)
        assert pledges.strangers() == (reserved,)
        platform.remove(reserved.reference)
        assert pledges.strangers() == ()

    def test_a_platform_that_is_down_is_a_transient_error_in_time(
        self, pledges: Pledges, platform: Platform
    ) -> None:
        pledges.pledge(platform.spec())
        with platform.is_down():
            for call in (
                lambda: pledges.pledge(platform.spec(OTHER)),
                lambda: pledges.release(RESERVATION),
                pledges.look,
                pledges.strangers,
            ):
                asked_at = time.monotonic()
                with pytest.raises(ProvisionerError) as failed:
                    call()
                assert time.monotonic() - asked_at < platform.is_down_for_seconds
                assert failed.value.transient
                assert not isinstance(failed.value, NotEnough)
        assert set(pledges.look()) == {RESERVATION}

    def test_who_is_not_let_in_is_misconfigured(self, platform: Platform) -> None:
        nobody = platform.pledges_of_nobody()
        for call in (lambda: nobody.pledge(platform.spec()), nobody.look, nobody.strangers):
            with pytest.raises(Misconfigured):
                call()

    def changes(self, pledges: Pledges, spec: ClusterSpec) -> None:
        """Change it where that can be done; where it cannot, it is refused for good."""
        if pledges.may_change:
            pledges.pledge(spec)
            return
        with pytest.raises(ProvisionerError) as refused:
            pledges.pledge(spec)
        assert not refused.value.transient
