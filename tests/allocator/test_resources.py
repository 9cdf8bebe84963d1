"""Resources and packages: whole amounts by kind."""

from __future__ import annotations

import pytest

from booking.allocator.package import Package, Size
from booking.allocator.resources import KINDS, Resources


def test_a_kind_left_out_is_zero() -> None:
    assert Resources.of({"cores": 4}) == Resources(cores=4, memory_mib=0, gpus=0, disk_gib=0)
    assert Resources(cores=4).amounts() == {"cores": 4, "memory_mib": 0, "gpus": 0, "disk_gib": 0}
    assert tuple(Resources().amounts()) == KINDS


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="unknown kind of resource: hugs, tpus"):
        Resources.of({"tpus": 1, "hugs": 2, "cores": 1})


def test_vectors_are_added_subtracted_and_multiplied_kind_by_kind() -> None:
    small, large = Resources(1, 2, 3, 4), Resources(10, 20, 30, 40)
    assert small + large == Resources(11, 22, 33, 44)
    assert small - large == Resources(-9, -18, -27, -36)
    assert small * 10 == large


def test_a_vector_fits_only_if_every_kind_does() -> None:
    assert Resources(1, 2).fits_in(Resources(1, 2))
    assert not Resources(1, 3).fits_in(Resources(100, 2))


def test_a_package_takes_its_notebook_and_all_its_workers() -> None:
    medium = Package("medium", 1, Size(1, 2048), Size(4, 8192), worker_count=3)
    assert medium.demand == Resources(cores=13, memory_mib=26624)
    assert Package("tiny", 1, Size(1, 512), Size(0, 0), worker_count=0).demand == Resources(1, 512)
