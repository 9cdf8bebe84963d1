"""Policy: what is refused says the rule, what you have, and what would pass."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.package import Sharing
from booking.allocator.policy import Ask, Claim, Limits, Rule, broken_rules, default_limits, permits, quota
from booking.allocator.quota import charges, first_week_that_passes
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from tests.allocator.scenes import DAYS, around, property_test

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2027, 3, 1, 10, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def span(start: float, length: float = 1) -> Span:
    """Hours after ten o'clock on Monday, 1 March 2027."""
    begin = NOW - timedelta(minutes=20) + start * HOUR
    return Span(begin, begin + length * HOUR)


def ask(*spans: Span, cores: int = 2, existing: tuple[Claim, ...] = (), **other: object) -> Ask:
    given = {"package": "small", "sharing": Sharing.RESERVED, "now": NOW, "zone": LONDON, **other}
    return Ask(demand=Resources(cores=cores), spans=spans or (span(0),), existing=existing, **given)  # type: ignore[arg-type]


def refusal(limits: Limits, asked: Ask) -> Rule:
    (rule,) = broken_rules(limits, asked)
    return rule


def test_no_limits_break_no_rule() -> None:
    far = ask(span(24 * 600, 24 * 100), cores=10**6)
    assert broken_rules(Limits(), far) == []
    assert broken_rules(default_limits(2), far) == []


def test_a_request_asks_for_a_span() -> None:
    with pytest.raises(ValueError, match="at least one span"):
        Ask("small", Sharing.SHARED, Resources(cores=1), (), NOW, LONDON)


def test_a_package_of_another_level_is_refused() -> None:
    rule = refusal(Limits(packages=frozenset({"tiny", "small"})), ask(package="large"))
    assert rule.name == "policy.package_not_allowed"
    assert (rule.limit, rule.have, rule.passes) == (["small", "tiny"], "large", ["small", "tiny"])
    assert rule.detail == "Your level may book only small, tiny, and you asked for large."


def test_a_level_without_packages_may_book_nothing() -> None:
    assert "may book nothing" in refusal(Limits(packages=frozenset()), ask()).detail


def test_a_sharing_of_another_level_is_refused() -> None:
    rule = refusal(Limits(sharing=frozenset({Sharing.SHARED})), ask())
    assert rule.name == "policy.sharing_not_allowed"
    assert (rule.limit, rule.have, rule.passes) == (["shared"], "reserved", ["shared"])


def test_each_span_has_its_own_length() -> None:
    limits = Limits(max_length=timedelta(hours=4))
    assert broken_rules(limits, ask(span(0, 4), span(4, 4))) == []
    rule = refusal(limits, ask(span(0, 4), span(4, 6), span(10, 5)))
    assert rule.name == "policy.too_long"
    assert (rule.limit, rule.have, rule.passes) == ("PT4H", "PT6H", "PT4H")
    assert rule.detail == "One span may be 4 hours long, and you asked for 6 hours."


@pytest.mark.parametrize("start", [datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2027, 3, 28, tzinfo=UTC)])
def test_fourteen_days_are_fourteen_dates_when_the_clock_changes(start: datetime) -> None:
    end = (start.astimezone(LONDON) + 14 * DAY).astimezone(UTC)
    limits = Limits(max_length=14 * DAY)
    assert broken_rules(limits, ask(Span(start, end))) == []
    assert broken_rules(limits, ask(Span(start, start + 14 * DAY))) == []
    later = max(end, start + 14 * DAY) + HOUR
    assert refusal(limits, ask(Span(start, later))).have == "P14DT1H"


def test_no_distance_means_the_current_cell() -> None:
    limits = Limits(max_ahead=timedelta(0))
    assert broken_rules(limits, ask(span(0, 4))) == []
    rule = refusal(limits, ask(span(1, 4)))
    assert rule.name == "policy.too_far_ahead"
    assert (rule.limit, rule.have, rule.passes) == ("PT0S", "PT40M", "2027-03-01T10:20:00Z")
    assert "may start now, not later" in rule.detail


def test_the_latest_span_decides_how_far_ahead_a_booking_is() -> None:
    limits = Limits(max_ahead=2 * DAY)
    assert broken_rules(limits, ask(span(0), span(48))) == []
    rule = refusal(limits, ask(span(0), span(49), span(24)))
    assert (rule.have, rule.passes) == ("P2DT40M", "2027-03-03T10:20:00Z")
    assert "no later than 2 days from now" in rule.detail


def test_reservations_at_once_are_counted_with_those_that_are_asked_for() -> None:
    limits = Limits(max_concurrent=2)
    two = (Claim(span(1, 3), 1), Claim(span(2, 4), 1))
    assert broken_rules(limits, ask(span(0, 2), existing=two)) == []
    assert broken_rules(limits, ask(span(4, 9), existing=two)) == []
    rule = refusal(limits, ask(span(0, 3), existing=two))
    assert rule.name == "policy.too_many_at_once"
    assert (rule.limit, rule.have, rule.passes) == (2, 3, "2027-03-01T14:00:00Z")
    assert rule.detail == (
        "You may have 2 at the same time, and with this request you would have 3 on Mon 1 Mar 2027 at 12:00; "
        "one more fits from Mon 1 Mar 2027 at 14:00."
    )


def test_spans_that_only_touch_are_never_at_once() -> None:
    one = Limits(max_concurrent=1)
    assert broken_rules(one, ask(span(1), existing=(Claim(span(0), 1), Claim(span(2), 1)))) == []


def test_moments_gone_by_are_not_at_once() -> None:
    # One that ended at 10:10 no longer runs at 10:20, although both lie in the same hour.
    over = Claim(Span(NOW - 2 * HOUR, NOW - timedelta(minutes=10)), 1)
    assert broken_rules(Limits(max_concurrent=1), ask(span(0), existing=(over,))) == []
    running = Claim(Span(NOW - 2 * HOUR, NOW + timedelta(minutes=10)), 1)
    rule = refusal(Limits(max_concurrent=1), ask(span(0), existing=(running,)))
    assert rule.have == 2
    assert "on Mon 1 Mar 2027 at 10:20" in rule.detail


def test_existing_reservations_elsewhere_do_not_refuse_a_new_one() -> None:
    crowd = tuple(Claim(span(5, 2), 1) for _ in range(9))
    assert broken_rules(Limits(max_concurrent=1), ask(span(0, 5), existing=crowd)) == []
    assert broken_rules(Limits(max_concurrent=1), ask(span(0, 5), span(7), existing=crowd)) == []


def test_none_at_once_is_never_passed() -> None:
    rule = refusal(Limits(max_concurrent=0), ask(span(0), existing=(Claim(span(0, 3), 1),)))
    assert rule.passes is None
    assert "one more" not in rule.detail


def test_core_hours_are_counted_over_four_weeks() -> None:
    limits = Limits(core_hours=100)
    used = (Claim(span(-72, 20), 4),)
    assert broken_rules(limits, ask(span(0, 10), existing=used)) == []
    rule = refusal(limits, ask(span(0, 11), existing=used))
    assert rule.name == "policy.quota_exceeded"
    assert rule.limit == 100
    assert rule.have == {"used": 80.0, "cost": 22.0}
    # The used hours lie in the week of 22 February, which leaves the window four weeks later.
    assert rule.passes == {"core_hours": 20.0, "week": "2027-03-22"}
    assert rule.detail == (
        "You may book 100 core-hours in any four weeks; from Mon 8 Feb 2027 on you have booked 80, this would "
        "cost 22, and 20 would pass; the same fits in the week of 22 Mar 2027."
    )


def test_what_alone_is_over_the_limit_never_passes() -> None:
    rule = refusal(Limits(core_hours=10), ask(span(0, 10)))
    assert rule.passes == {"core_hours": 10.0, "week": None}
    assert rule.detail.endswith("and 10 would pass.")


def test_an_account_booked_for_a_year_and_more_is_told_no_week() -> None:
    used = [Claim(span(week * 168, 24), 1) for week in range(80)]
    assert first_week_that_passes(LONDON, 96, [Claim(span(0), 1)], used) is None


def test_a_request_costs_its_cores_even_when_it_is_shared() -> None:
    limits = Limits(core_hours=10)
    cost = quota(limits, ask(span(0, 3), sharing=Sharing.SHARED))
    assert (cost.limit, cost.used, cost.cost, cost.left) == (10, 0, 6, 4)


def test_without_a_limit_the_cost_is_still_told() -> None:
    cost = quota(Limits(), ask(span(0, 3)))
    assert (cost.limit, cost.cost, cost.left) == (None, 6, None)


def test_rules_come_in_a_fixed_order() -> None:
    limits = Limits(
        packages=frozenset(),
        sharing=frozenset(),
        max_length=HOUR,
        max_ahead=timedelta(0),
        max_concurrent=0,
        core_hours=0,
    )
    rules = broken_rules(limits, ask(span(5, 2)))
    assert [rule.name for rule in rules] == [
        "policy.package_not_allowed",
        "policy.sharing_not_allowed",
        "policy.too_long",
        "policy.too_far_ahead",
        "policy.too_many_at_once",
        "policy.quota_exceeded",
    ]
    for rule in rules:
        assert json.loads(json.dumps([rule.limit, rule.have, rule.passes])) is not None
        assert rule.detail.endswith(".")


claims = st.lists(st.tuples(st.integers(0, 70), st.integers(1, 40), st.integers(0, 5)), max_size=4)
asked = st.lists(st.tuples(st.integers(0, 70), st.integers(1, 30), st.just(3)), min_size=1, max_size=3)


@cache
def week_at(zone: str, minute: int) -> int:
    """Weeks since Monday, 1 January of year 1, by the wall clock."""
    return (datetime.fromtimestamp(60 * minute, ZoneInfo(zone)).toordinal() - 1) // 7


@property_test
@given(st.sampled_from(DAYS), claims, asked, st.integers(0, 4000))
def test_the_quota_is_that_of_the_fullest_four_weeks(
    scene: tuple[str, date],
    existing: list[tuple[int, int, int]],
    wanted: list[tuple[int, int, int]],
    limit: int,
) -> None:
    """Spans in steps of sixteen hours over seven weeks; each quarter of an hour is charged to its week."""
    zone, day = scene
    first, last = around(day, 24, 76)

    def claim(start: int, length: int, cores: int) -> Claim:
        begin = first + 960 * start
        return Claim(Span.of_minutes(begin, min(begin + 960 * length, last)), cores)

    used, new = [claim(*one) for one in existing], [claim(*one) for one in wanted]
    weeks: dict[int, list[int]] = {}
    touched = set()
    for charged, group in ((0, used), (1, new)):
        for one in group:
            for minute in range(*one.span.minutes, 15):
                week = week_at(zone, minute)
                weeks.setdefault(week, [0, 0])[charged] += 15 * one.cores
                if charged:
                    touched.add(week)
    fullest = max(
        sum(sum(weeks.get(week, (0, 0))) for week in range(start, start + 4))
        for start in range(min(touched) - 3, max(touched) + 1)
        if touched & set(range(start, start + 4))
    )
    request = Ask(
        "small",
        Sharing.RESERVED,
        Resources(cores=3),
        tuple(one.span for one in new),
        NOW,
        ZoneInfo(zone),
        tuple(used),
    )
    cost = quota(Limits(core_hours=limit), request)
    assert cost.left == (limit * 60 - fullest) / 60
    assert cost.used + cost.cost + cost.left == pytest.approx(limit)
    assert bool(broken_rules(Limits(core_hours=limit), request)) == (fullest > limit * 60)


@pytest.mark.parametrize(
    "zone,monday",
    [("America/Havana", 4), ("Europe/London", 0), ("Asia/Kolkata", -5.5), ("Pacific/Kiritimati", -14)],
)
def test_a_week_begins_on_the_local_monday(zone: str, monday: float) -> None:
    midnight = datetime(2027, 3, 1, tzinfo=UTC) + monday * HOUR
    around_midnight = Claim(Span(midnight - 2 * HOUR, midnight + 3 * HOUR), 1)
    assert sorted(charges(ZoneInfo(zone), [around_midnight]).values()) == [120, 180]


def test_what_is_permitted_is_told_without_reasons() -> None:
    busy = (Claim(span(0, 3), 2),)
    assert permits(Limits(max_concurrent=2, core_hours=20), ask(existing=busy))
    for limits in (
        Limits(packages=frozenset()),
        Limits(max_concurrent=1),
        Limits(core_hours=7),
        Limits(max_concurrent=2, core_hours=7),
    ):
        assert not permits(limits, ask(existing=busy))


few = st.none() | st.integers(0, 3)


@property_test
@given(
    st.builds(
        Limits,
        packages=st.sampled_from((None, frozenset({"small"}), frozenset({"tiny"}))),
        sharing=st.sampled_from((None, frozenset({Sharing.RESERVED}), frozenset({Sharing.SHARED}))),
        max_length=st.none() | few.map(lambda days: DAY * (days or 1)),
        max_ahead=st.none() | few.map(lambda days: DAY * (days or 0)),
        max_concurrent=few,
        core_hours=st.none() | st.integers(0, 200),
    ),
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 50)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(-90, 90), st.integers(1, 50)), max_size=4),
)
def test_a_request_is_permitted_exactly_if_no_rule_is_broken(
    limits: Limits, wanted: list[tuple[int, int]], existing: list[tuple[int, int]]
) -> None:
    request = ask(*(span(*one) for one in wanted), existing=tuple(Claim(span(*one), 2) for one in existing))
    assert permits(limits, request) == (not broken_rules(limits, request))
