"""Pools, packages, the calendar and bookings from a terminal."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.cli.conftest import Terminal

BERLIN = ZoneInfo("Europe/Berlin")


def day(ahead: int) -> str:
    """A date of the pool's zone, so many days from now."""
    return f"{(datetime.now(BERLIN) + timedelta(days=ahead)).date()}"


def z(text: str) -> str:
    """A local time of the pool as programs see it."""
    moment = datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def book(lab: Terminal, package: str, *words: str) -> Any:
    """Book for ann; what was promised."""
    return lab.json("book", package, "--account", "ann", *words)


def test_naive_times_are_read_in_the_zone_of_the_pool(lite_lab: Terminal) -> None:
    made = book(lite_lab, "small", "--start", f"{day(3)}T10:00", "--end", f"{day(3)}T12:00")
    (reservation,) = made["reservations"]
    assert (reservation["start"], reservation["end"]) == (z(f"{day(3)}T10:00"), z(f"{day(3)}T12:00"))
    assert (made["state"], made["account"], made["package"]) == ("confirmed", "ann", "small")


def test_a_time_with_an_offset_is_that_instant(lite_lab: Terminal) -> None:
    made = book(lite_lab, "small", "--start", f"{day(3)}T10:00Z", "--end", f"{day(3)}T15:00+04:00")
    (reservation,) = made["reservations"]
    assert (reservation["start"], reservation["end"]) == (f"{day(3)}T10:00:00Z", f"{day(3)}T11:00:00Z")


def test_a_booking_may_start_now_and_last_a_length(lite_lab: Terminal) -> None:
    (reservation,) = book(lite_lab, "small", "--start", "now", "--end", "PT2H")["reservations"]
    start, end = (datetime.fromisoformat(reservation[name]) for name in ("start", "end"))
    assert end - start == timedelta(hours=2)
    assert start <= datetime.now(UTC) < start + timedelta(hours=1)


@pytest.mark.parametrize(
    "start, said",
    [
        ("2031-10-26T02:30", "occurs twice in Europe/Berlin"),
        ("2031-03-30T02:30", "does not occur in Europe/Berlin"),
        ("tomorrow", "'tomorrow' is not a time; write 2026-11-23"),
        ("2031-13-01", "'2031-13-01' is not a time"),
    ],
)
def test_a_time_that_is_none_or_two_is_refused_by_its_field(
    lite_lab: Terminal, start: str, said: str
) -> None:
    line = lite_lab.refused("book", "small", "--start", start, "--end", "PT1H")
    assert line.startswith("start: ")
    assert said in line


def test_every_time_is_shown_with_its_offset(lite_lab: Terminal) -> None:
    told = lite_lab.ok("book", "small", "--start", f"{day(60)}T10:00", "--end", "PT2H")
    offset = datetime.fromisoformat(f"{day(60)}T10:00").replace(tzinfo=BERLIN).isoformat()[19:]
    assert f"{day(60)} 10:00 {offset} to {day(60)} 12:00 {offset}" in told
    assert f"{day(60)} 10:00 {offset}" in lite_lab.ok("bookings")


def test_several_spans_are_booked_as_one(lab: Terminal) -> None:
    spans = [f"{day(n)}T18:00/PT6H" for n in (3, 4, 5)]
    made = book(lab, "large", *(word for span in spans for word in ("--span", span)))
    assert [r["start"] for r in made["reservations"]] == [z(f"{day(n)}T18:00") for n in (3, 4, 5)]


def test_a_refusal_names_commands_that_pass_as_they_are_printed(lab: Terminal) -> None:
    book(lab, "large", "--start", f"{day(3)}T10:00", "--end", "PT4H")
    done = lab.run("book", "large", "--account", "ann", "--start", f"{day(3)}T11:00", "--end", "PT2H")
    assert (done.exit_code, done.stdout) == (1, "")
    refusal, *offers = done.stderr.splitlines()
    assert refusal.startswith("large is not free from")
    assert refusal.endswith("(booking.no_capacity)")
    kinds = {offer.split(":")[0].strip(): offer.partition(": ")[2] for offer in offers}
    assert {"later", "earlier"} <= set(kinds)
    for command in kinds.values():
        program, *words = shlex.split(command)
        assert program == "booking"
        assert lab.json(*words, "--dry-run")["ok"]
    assert "confirmed" in lab.ok(*shlex.split(kinds["later"])[1:])


def test_the_account_is_held_to_its_level_and_the_administrator_is_not(lite_lab: Terminal) -> None:
    far = ("--start", day(200), "--end", "P1D")
    said = lite_lab.refused("book", "small", "--account", "ann", *far)
    assert "policy.too_far_ahead" in said
    assert lite_lab.json("book", "small", *far)["account"] == "root"


def test_for_whom_must_be_said_where_there_are_two_administrators(lite_lab: Terminal) -> None:
    lite_lab.ok("account", "create", "second", "--admin")
    assert "--account NAME" in lite_lab.refused("book", "small", "--start", "now", "--end", "PT1H", code=2)


def test_when_must_be_said(lite_lab: Terminal) -> None:
    assert "--start and --end" in lite_lab.refused("book", "small", code=2)
    assert "--start and --end" in lite_lab.refused("book", "small", "--start", "now", code=2)


def test_a_dry_run_decides_and_writes_nothing(lite_lab: Terminal) -> None:
    answer = book(lite_lab, "large", "--start", "now", "--end", "PT1H", "--dry-run")
    assert answer == {"ok": True, "demand": {"cores": 8, "memory_mib": 2048, "gpus": 0, "disk_gib": 0}}
    assert lite_lab.json("bookings")["items"] == []


def test_a_hold_is_confirmed(lab: Terminal) -> None:
    held = book(lab, "small", "--start", day(3), "--end", "P1D", "--hold")
    assert held["state"] == "held"
    assert held["reservations"][0]["expires"] is not None
    assert lab.json("confirm", held["id"])["state"] == "confirmed"


def test_a_booking_is_extended_shortened_shown_and_cancelled(lab: Terminal) -> None:
    made = book(lab, "small", "--start", f"{day(3)}T10:00", "--end", "PT2H", "--title", "course")
    for end, hours in (("PT5H", 15), ("PT1H", 11)):
        (reservation,) = lab.json("extend", made["id"], "--end", end)["reservations"]
        assert reservation["end"] == z(f"{day(3)}T{hours}:00")
    shown = lab.json("show", made["id"])
    assert (shown["title"], shown["reservations"]) == ("course", [reservation])
    assert lab.json("cancel", made["id"])["state"] == "cancelled"
    assert lab.json("bookings")["items"] == []
    assert [row["state"] for row in lab.json("bookings", "--all")["items"]] == ["cancelled"]


def test_another_account_does_not_see_a_booking(lite_lab: Terminal) -> None:
    lite_lab.ok("account", "create", "bob")
    made = book(lite_lab, "small", "--start", day(3), "--end", "P1D")
    for command in ("show", "cancel", "confirm"):
        said = lite_lab.refused(command, made["id"], "--account", "bob")
        assert said == f"There is no booking '{made['id']}'. (booking.not_found)\n"
    assert lite_lab.json("bookings", "--account", "bob")["items"] == []
    assert len(lite_lab.json("bookings", "--account", "ann")["items"]) == 1


def test_a_custom_package_is_booked_by_its_sizes(lite_lab: Terminal) -> None:
    lite_lab.ok("account", "level", "ann", "2")
    when = ("--start", day(3), "--end", "P1D")
    said = lite_lab.refused("book", "custom", "--account", "ann", *when, "--notebook-cores", "1")
    assert "--worker-memory-mib: is needed for a custom package" in said
    sizes = ("--notebook-cores", "1", "--notebook-memory-mib", "512", "--worker-cores", "2")
    rest = ("--worker-memory-mib", "256", "--worker-count", "3")
    answer = book(lite_lab, "custom", *when, *sizes, *rest, "--dry-run")
    assert (answer["demand"]["cores"], answer["demand"]["memory_mib"]) == (7, 1280)


def test_the_calendar_is_drawn_with_what_is_mine(lite_lab: Terminal) -> None:
    monday = date.fromisoformat(day(14)) - timedelta(days=date.fromisoformat(day(14)).weekday())
    wednesday = f"{monday + timedelta(days=2)}"
    book(lite_lab, "large", "--start", wednesday, "--end", "P2D")
    drawn = lite_lab.ok("availability", "--start", wednesday, "--account", "ann")
    assert drawn.splitlines() == [
        f"lab, Europe/Berlin, from {monday:%a %d %b %Y}",
        "",
        "large === ===[### ###]=== === ===",
        "small === === --- --- === === ===",
        "      Mon Tue Wed Thu Fri Sat Sun",
    ]
    rows = {
        row["package"]: row["cells"]
        for row in lite_lab.json("availability", "--start", wednesday)["packages"]
    }
    assert [cell["count"] for cell in rows["small"]] == [4, 4, 0, 0, 4, 4, 4]
    assert rows["small"][0]["start"] == z(f"{monday}T00:00")


def test_the_calendar_knows_its_views_and_its_days(lite_lab: Terminal) -> None:
    assert "Error" in lite_lab.refused("availability", "--view", "year", code=2)
    assert lite_lab.refused("availability", "--start", "soon").startswith("start: 'soon' is not a date")
    assert len(lite_lab.json("availability", "--view", "10w")["packages"][0]["cells"]) == 70
    first = lite_lab.json("availability", "--view", "month", "--start", "next-month")["packages"][0]["cells"][
        0
    ]
    today = datetime.now(BERLIN)
    month = datetime(today.year + today.month // 12, today.month % 12 + 1, 1, tzinfo=BERLIN)
    assert datetime.fromisoformat(first["start"]) == month


def test_a_cut_below_what_is_booked_is_told_before_it_is_made(lab: Terminal) -> None:
    made = book(lab, "large", "--start", f"{day(3)}T10:00", "--end", "PT4H")
    cut = (
        "pool",
        "blackout",
        "add",
        "lab",
        "--start",
        day(3),
        "--end",
        "P1D",
        "--cores",
        "4",
        "--reason",
        "power",
    )
    assert made["id"] in lab.ok(*cut, "--dry-run")
    said = lab.refused(*cut)
    assert "(capacity.conflict)" in said
    assert f"{made['id']} of ann: large" in said
    assert lab.json("pool", "blackout", "list", "lab")["items"] == []
    kept = lab.json(*cut, "--on-conflict", "keep")
    assert [conflict["booking"] for conflict in kept["conflicts"]] == [made["id"]]
    assert lab.json("show", made["id"])["reservations"][0]["at_risk"]
    lab.ok("pool", "blackout", "end", "lab", kept["row"]["id"])
    assert lab.json("pool", "blackout", "list", "lab")["items"] == []
    assert not lab.json("show", made["id"])["reservations"][0]["at_risk"]


def test_inventory_can_end_later_than_now(lite_lab: Terminal) -> None:
    (row,) = lite_lab.json("pool", "inventory", "list", "lab")["items"]
    assert row["span"] == {"start": "2019-12-31T23:00:00Z", "end": None}
    assert "until further notice" in lite_lab.ok("pool", "inventory", "list", "lab")
    ended = lite_lab.json("pool", "inventory", "end", "lab", row["id"], "--end", day(30))
    assert ended["row"]["span"]["end"] == z(day(30))
    assert "inventory.not_found" in lite_lab.refused("pool", "inventory", "end", "lab", "nothing")


def test_a_pool_shows_its_exact_timeline(lite_lab: Terminal) -> None:
    book(lite_lab, "small", "--start", f"{day(3)}T10:00", "--end", "PT4H")
    shown = lite_lab.json("pool", "show", "lab", "--from", day(3), "--to", "P1D")
    assert [segment["available"]["cores"] for segment in shown["segments"]] == [8, 6, 8]
    assert shown["segments"][1]["start"] == z(f"{day(3)}T10:00")
    (line,) = (
        line
        for line in lite_lab.ok("pool", "show", "lab").splitlines()
        if line.split()[-3:] == ["8", "2", "6"]
    )
    assert " cores " in line


def test_a_pool_is_made_with_its_standing_reservation(lite_lab: Terminal) -> None:
    words = ("--granularity", "day", "--share-ratio", "2.5", "--level0-cores", "2", "--trait", "gpu")
    made = lite_lab.json("pool", "create", "second", "--timezone", "Asia/Kolkata", *words)
    assert (made["share_ratio"], made["granularity"], made["traits"]) == (2.5, "day", ["gpu"])
    assert made["level0_reserve"]["cores"] == 2
    assert [row["name"] for row in lite_lab.json("pool", "list")["items"]] == ["lab", "second"]
    assert lite_lab.refused("pool", "create", "third", "--timezone", "Mars/Base") == (
        "timezone: 'Mars/Base' is not an IANA time zone\n"
    )


def test_a_package_is_versioned_and_retired(lite_lab: Terminal) -> None:
    numbers = ("--notebook-cores", "1", "--notebook-memory-mib", "512", "--worker-cores", "1")
    made = lite_lab.json(
        "package", "create", "small", *numbers, "--worker-memory-mib", "512", "--lead-time", "PT5M"
    )
    assert (made["version"], made["lead_time"], made["demand"]["memory_mib"]) == (2, "PT5M", 1024)
    lite_lab.ok("package", "retire", "small")
    assert [row["name"] for row in lite_lab.json("package", "list")["items"]] == ["large"]
    assert "package: there is no package 'small'" in lite_lab.refused(
        "book", "small", "--account", "ann", "--start", "now", "--end", "PT1H"
    )


def test_the_tokens_of_a_cluster_are_shown_only_when_they_are_asked_for(lite_lab: Terminal) -> None:
    made = book(lite_lab, "small", "--start", "now", "--end", "PT2H")
    assert "tokens" not in lite_lab.json("show", made["id"])
    null = {"BOOKING_PROVISIONER": "null"}
    assert lite_lab.json("show", made["id"], "--tokens", **null)["tokens"] == {}
    wrong = lite_lab.run("show", made["id"], "--tokens", BOOKING_PROVISIONER="nul")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "BOOKING_PROVISIONER: There is no provisioner 'nul'" in wrong.stderr


def test_who_waits_for_what_is_listed(lite_lab: Terminal) -> None:
    assert lite_lab.json("waitlist") == {"items": []}
    assert lite_lab.ok("waitlist") == "none\n"


def test_a_trait_chooses_the_pool(lite_lab: Terminal) -> None:
    lite_lab.json("pool", "create", "fast", "--timezone", "UTC", "--trait", "gpu")
    whole = ("--cores", "8", "--memory-mib", "16384", "--reason", "bought")
    lite_lab.ok("pool", "inventory", "add", "fast", "--start", "2020-01-01", *whole)
    when = ("--start", f"{day(3)}T10:00", "--end", f"{day(3)}T12:00")
    made = lite_lab.json("book", "small", *when, "--sharing", "custom", "--trait", "gpu")
    assert made["pool"] == lite_lab.json("pool", "list")["items"][1]["id"]
    assert "are only for the sharing custom" in lite_lab.refused("book", "small", *when, "--trait", "gpu")
    said = lite_lab.refused("book", "small", *when, "--sharing", "custom", "--trait", "fpga")
    assert "No pool has fpga." in said
    assert lite_lab.ok("availability", "--trait", "gpu").startswith("fast, UTC")
