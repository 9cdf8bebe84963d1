"""Platforms from a terminal."""

from __future__ import annotations

from tests.cli.conftest import Terminal

CREATE = (
    "platform",
    "create",
    "cloud",
    "--provisioner",
    "null",
    "--set",
    "pledges=true",
    "--set",
    "cores=64",
)


def test_a_platform_is_made_changed_listed_and_checked(lab: Terminal) -> None:
    made = lab.json(*CREATE, "--trait", "gpu", "--lead-minutes", "10")
    assert (made["provisioner"], made["pledges"], made["traits"]) == ("null", True, ["gpu"])
    assert made["settings"] == {"pledges": True, "cores": 64}
    changed = lab.json("platform", "change", "cloud", "--set", "cores=", "--teardown-seconds", "90")
    assert (changed["settings"], changed["teardown_seconds"]) == ({"pledges": True}, 90)
    assert changed in lab.json("platform", "list")["items"]
    assert "cloud" in lab.ok("platform", "list")
    assert lab.json("platform", "show", "cloud") == changed | {"set_aside": []}
    assert '{"pledges": true}' in lab.ok("platform", "show", "cloud")
    assert lab.json("platform", "check", "cloud") == {"items": []}


def test_what_cannot_be_is_refused_by_name(lite_lab: Terminal) -> None:
    assert "settings.colour: is not a setting of null" in lite_lab.refused(*CREATE, "--set", "colour=red")
    assert "provisioner: " in lite_lab.refused("platform", "create", "cloud", "--provisioner", "moon")
    assert "word: is written KEY=VALUE" in lite_lab.refused(*CREATE, "--set", "word")
    assert "platform.not_found" in lite_lab.refused("platform", "show", "moon")
