"""The bench works and asks everybody the same; how fast anybody is depends on the machine and is not tested."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import date
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import __main__ as bench
from tests.bench import conduct, growth, ours, servers, sharding, sql, web
from tests.bench.page import BEGIN, END, put_in
from tests.bench.plot import plot
from tests.bench.rivals.indico import Indico, free_rooms
from tests.bench.sql import differing
from tests.bench.workload import DEMANDS, Truth, Window, Workload
from tests.bench.world import make_world

TODAY = date(2030, 3, 1)
"""A month before the clocks change in London."""


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_a_quick_run_checks_all_answers_and_writes_lines_tables_and_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "performance.md"
    target.write_text(f"before\n{BEGIN}\nyesterday\n{END}\nafter\n")
    (tmp_path / bench.PLOT).parent.mkdir()
    words = ["--quick", "--seed", "7", "--page", str(target), "--only", "reads", "pools"]
    assert bench.main(words) == 0
    lines = lines_of(capsys)
    measured = {(line["what"], line.get("design"), line.get("database")) for line in lines}
    for database in ("sqlite", "postgresql"):
        for what in (ours.CALENDAR, ours.CAN_I, ours.EARLIEST):
            assert {(what, ours.OURS, database), (what, sql.EXACT, database)} <= measured
    assert all(line["wrong_cells"] == 0 for line in lines[1:] if line["design"] != sql.NAIVE)
    text = target.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "yesterday" not in text
    assert "| goal | wanted | measured |" in text
    ET.parse(tmp_path / bench.PLOT)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_a_quick_run_of_writes_and_requests_oversells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--quick", "--seed", "7", "--only", "writes", "web"]) == 0
    lines = lines_of(capsys)
    booked = [line for line in lines if line["what"] == "writes" and line["design"] == "booking"]
    assert len(booked) == 3
    assert {(line["refused"], line["locked"]) for line in booked} == {(0, 0)}
    asked = {line["design"] for line in lines if line["what"] == web.WHAT}
    assert asked == {web.PLAIN, web.JSON, web.UNCHANGED, web.PAST, web.COLD, web.HTML}


@pytest.mark.slow
def test_the_products_server_is_tried_and_measured(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the others, which only `make bench` installs."""
    for module in (servers, conduct):
        monkeypatch.setattr(module, "are_installed", lambda: False)
    with ExitStack() as stack:
        world = make_world(sqlite_url, Workload(300, 1, TODAY), rivals=False)
        stack.callback(world.engine.dispose)
        cases = servers.measure(world, tmp_path / "servers", 1, 4)
    assert {case.what for case in cases} == {servers.COST, servers.WAIT, servers.MEMORY}
    assert all(case.middle > 0 for case in cases)
    (mine,) = conduct.conducts(tmp_path / "conduct")
    assert mine.seen["begun requests answered after SIGTERM"].startswith("4 of 4")
    assert mine.seen["requests lost while one takes over from another"].startswith("0 of")
    assert mine.seen["pipelined requests answered in order"] == "yes"
    assert mine.seen["statuses where two lengths contradict"] == "400"


def scene_of(shards: int, books: float, pools: int = 8, skew: float = 0.0) -> sharding.Scene:
    return sharding.Scene(shards, books, 2 * books, pools, skew, across=0.1, requests=3000)


def test_simulated_queues_keep_what_is_known_of_queues() -> None:
    """Ten milliseconds under a lock are a hundred bookings a second of a pool, whatever stands around it."""
    times = sharding.Times(1.0, 1.0, 10.0, 1.0, 0.2)
    world = sharding.World(scene_of(1, 10), times, 1)
    found = world.run()
    assert sum(len(waits) for waits in world.waits.values()) == 3000
    assert found["keeps_up"]
    assert found["book_p50_ms"] < 20
    assert sharding.World(scene_of(1, 10), times, 1).run() == found
    one_pool = sharding.World(scene_of(1, 60, pools=1), times, 1).run()
    assert 0.5 < one_pool["busiest_pool"] < 0.75
    for shards in (1, 8):
        assert not sharding.World(scene_of(shards, 200, pools=1), times, 1).run()["keeps_up"]
        assert sharding.World(scene_of(shards, 200, pools=64), times, 1).run()["keeps_up"]


def test_a_database_too_small_for_all_is_cured_by_more_of_them() -> None:
    times = sharding.Times(1.0, 20.0, 21.0, 1.0, 0.2)
    assert not sharding.World(scene_of(1, 300, pools=64), times, 1).run()["keeps_up"]
    assert sharding.World(scene_of(4, 300, pools=64), times, 1).run()["keeps_up"]


@pytest.mark.slow
@pytest.mark.postgres
def test_growth_is_measured_and_gives_the_times_that_are_simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--processes", "1", "2", "--seconds", "0.3", "--rounds", "1", "--calls", "6"]
    assert growth.main(words) == 0
    said = capsys.readouterr().out
    (tmp_path / "times.json").write_text(said)
    times = sharding.Times.of(tmp_path / "times.json")
    assert min(times.book_web_ms, times.book_database_ms, times.read_web_ms, times.read_database_ms) > 0
    assert times.hold_ms > 1
    assert [json.loads(line)["processes"] for line in said.splitlines()[:4]] == [1, 1, 2, 2]


def test_an_answer_that_is_not_the_truth_stops_the_run(sqlite_url: str) -> None:
    workload = Workload(200, 1, TODAY)
    truth = Truth.of(workload)
    other = Truth(workload, truth.room + DEMANDS.max())
    with ExitStack() as stack:
        world = make_world(sqlite_url, workload)
        stack.callback(world.engine.dispose)
        ours.Ours(world, truth).check()
        sql.Sql(world, truth, stack).check()
        with pytest.raises(AssertionError):
            ours.Ours(world, other).check()
        with pytest.raises(AssertionError):
            sql.Sql(world, other, stack).check()


def test_the_same_seed_draws_the_same_bookings_and_another_draws_others() -> None:
    first, again, other = (Workload(200, seed, TODAY).taken() for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first.start[:200] != other.start[:200]).any()


def test_every_booking_is_in_one_pool() -> None:
    workload = Workload(500, 3, TODAY, pools=7)
    assert sum(len(workload.reservations(pool).start) for pool in range(7)) == 500


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_is_what_counting_hour_by_hour_finds(seed: int) -> None:
    workload = Workload(400, seed, TODAY)
    truth, taken, edges = Truth.of(workload), workload.taken(), workload.edges.tolist()
    capacity = workload.capacity()
    for cell, (start, end) in list(enumerate(pairwise(edges)))[20:40]:
        least = [10**12, 10**12]
        for hour in range(start, end, 60):
            there = (taken.start <= hour) & (hour < taken.end)
            for kind, amount in enumerate((taken.cores, taken.memory)):
                least[kind] = min(least[kind], int(capacity[kind] - amount[there].sum()))
        found = [row[cell] for row in truth.calendar()]
        assert found == [max(0, min(least[0] // c, least[1] // m)) for c, m in DEMANDS.tolist()]


def test_the_days_of_the_calendar_are_local_ones() -> None:
    lengths = {b - a for a, b in pairwise(Workload(1, 0, date(2030, 1, 10)).edges.tolist())}
    assert lengths == {24 * 60}
    assert 25 * 60 in {b - a for a, b in pairwise(Workload(1, 0, date(2030, 7, 1)).edges.tolist())}


def test_free_rooms_are_those_without_any_booking(tmp_path: Path) -> None:
    workload = Workload(400, 1, TODAY)
    edges = workload.edges.tolist()
    rival = Indico(workload, 400, tmp_path)
    assert rival.calendar() == [free_rooms(workload, 400, edges)]
    window = Window(edges[3], edges[7], 0)
    assert rival.can_i(window) == free_rooms(workload, 400, [window.start, window.end])[0]


def test_wrong_cells_are_counted() -> None:
    assert differing([[1, 2], [3, 4]], [[1, 2], [3, 5]]) == 1


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="measured"):
        put_in("no place", "tables")


def test_a_plot_is_xml_also_with_signs_in_its_names_and_one_point() -> None:
    drawn = plot("a < b", "x & y", {"<one>": [(10, 3.0)], "two": [(10, 1.0), (1000, 2e6)]})
    assert "1 s" in drawn
    ET.fromstring(drawn)
