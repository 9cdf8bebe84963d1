"""Limits: data that can be written, read and overridden, one by one."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from booking.allocator.limits import DEFAULT_LIMITS, LIMIT_NAMES, Limits, default_limits
from booking.allocator.package import Sharing


@pytest.mark.parametrize("limits", [Limits(), *DEFAULT_LIMITS.values()])
def test_limits_survive_json(limits: Limits) -> None:
    written = json.loads(json.dumps(limits.as_dict()))
    assert tuple(written) == LIMIT_NAMES
    assert Limits.from_dict(written) == limits


def test_level_0_is_tiny_shared_short_and_at_once() -> None:
    limits = default_limits(0).as_dict()
    assert limits["packages"] == ["tiny"]
    assert limits["sharing"] == ["shared"]
    assert limits["max_length"] == "PT4H"
    assert limits["max_ahead"] == "PT0S"
    assert limits["max_concurrent"] == 1
    assert limits["core_hours"] is None
    assert limits["saved_gib"] == 0


def test_level_1_may_reserve_for_two_weeks_and_three_months_ahead() -> None:
    limits = default_limits(1)
    assert limits.packages == frozenset({"tiny", "small", "medium", "large"})
    assert limits.sharing == frozenset({Sharing.SHARED, Sharing.RESERVED})
    assert (limits.max_length, limits.max_ahead) == (timedelta(days=14), timedelta(days=90))
    assert (limits.max_concurrent, limits.core_hours) == (5, 1000)
    assert None not in (limits.notebooks, limits.saved_gib, limits.saved_days, limits.temporary_days)


@pytest.mark.parametrize("level", [2, 3, 17])
def test_higher_levels_have_no_limit_until_somebody_sets_one(level: int) -> None:
    assert default_limits(level) == Limits()
    assert set(Limits().as_dict().values()) == {None}


def test_a_limit_is_overridden_and_the_others_stay() -> None:
    changed = default_limits(1).overridden({"max_length": "P30D", "core_hours": None, "packages": ["huge"]})
    assert changed.max_length == timedelta(days=30)
    assert changed.core_hours is None
    assert changed.packages == frozenset({"huge"})
    assert changed.max_concurrent == 5
    assert default_limits(1).core_hours == 1000


@pytest.mark.parametrize(
    "key,value,complaint",
    [
        ("max_len", "P1D", "no such limit"),
        ("packages", "tiny", "list of names"),
        ("packages", ["tiny", 3], "list of names"),
        ("packages", [""], "list of names"),
        ("sharing", ["alone"], "custom, reserved, shared"),
        ("max_length", 14, "P14D or PT4H"),
        ("max_length", "a while", "P14D or PT4H"),
        ("max_length", "PT0S", "no length"),
        ("max_ahead", "P1Y", "P14D or PT4H"),
        ("max_concurrent", -1, "at least 0"),
        ("max_concurrent", 1.5, "whole number"),
        ("core_hours", True, "whole number"),
        ("core_hours", 2**53, "whole number"),
        ("notebooks", "many", "whole number"),
    ],
)
def test_a_wrong_limit_is_named(key: str, value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: .*{complaint}"):
        Limits.from_dict({key: value})


def test_no_distance_at_all_is_a_limit() -> None:
    assert Limits.from_dict({"max_ahead": "PT0S"}).max_ahead == timedelta(0)
