"""The specification is valid, and the service keeps it against generated calls."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from tests.api.support import Site
from tests.support.served import served

CONFIG = Path(__file__).with_name("schemathesis.toml")
LEAST_CASES = 1500
_ENDS_ITS_OWN_TOKEN = ("/api/v1/tokens/{token}", "/api/v1/accounts/{account}")
"""Generated calls find their own token and account, and end them; then nothing more would be tested."""


def specification(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.nobody.get("/openapi.json").must(200)
    return found


def test_the_specification_is_valid_openapi_3_1(site: Site) -> None:
    document = specification(site)
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_the_specification_names_every_call_of_the_public_contract(site: Site) -> None:
    calls = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in specification(site)["paths"].items()
        for method in methods
    }
    assert calls >= {
        "GET /healthz",
        "GET /readyz",
        "GET /packages",
        "POST /packages",
        "GET /pools",
        "POST /pools",
        "GET /pools/{pool}",
        "GET /pools/{pool}/timeline",
        "POST /pools/{pool}/inventory",
        "PATCH /pools/{pool}/inventory/{row}",
        "DELETE /pools/{pool}/inventory/{row}",
        "POST /pools/{pool}/blackouts",
        "PATCH /pools/{pool}/blackouts/{row}",
        "DELETE /pools/{pool}/blackouts/{row}",
        "GET /availability",
        "GET /slots",
        "POST /bookings",
        "GET /bookings",
        "GET /bookings/{booking}",
        "PATCH /bookings/{booking}",
        "POST /bookings/{booking}/confirm",
        "DELETE /bookings/{booking}",
        "POST /waitlist",
        "GET /waitlist",
        "DELETE /waitlist/{wanted}",
    }


def test_every_operation_says_what_it_does_what_it_takes_and_how_it_refuses(site: Site) -> None:
    names: set[str] = set()
    for path, methods in specification(site)["paths"].items():
        for method, said in methods.items():
            if method == "parameters":
                continue
            assert said["summary"], (method, path)
            assert said["operationId"] not in names, (method, path)
            names.add(said["operationId"])
            assert "422" in said["responses"], (method, path)
            assert "security" in said, (method, path)
            for parameter in said.get("parameters", []):
                assert parameter["schema"], (method, path, parameter)


def test_the_reference_shows_every_operation_and_loads_nothing_from_elsewhere(site: Site) -> None:
    page = site.nobody.get("/docs/api")
    text = page.response.get_data(as_text=True)
    assert page.status == 200
    for path, methods in specification(site)["paths"].items():
        for method in methods:
            if method != "parameters":
                assert f"<code>{method.upper()} {path}</code>" in text
    assert re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text) == []
    assert "style=" not in text
    assert re.findall(r"<script(?![^>]*src=)", text) == []
    anchors = re.findall(r'href="#([^"]+)"', text)
    assert [anchor for anchor in anchors if f'id="{anchor}"' not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "database_url, caller",
    [("sqlite", "ann"), pytest.param("postgres", "root", marks=pytest.mark.postgres)],
    indirect=["database_url"],
)
def test_generated_calls_find_no_fault(site: Site, app: Flask, caller: str, tmp_path: Path) -> None:
    site.person("ann")
    one = site.callers[caller]
    one.book().must(201)
    command = [
        *(str(Path(sys.executable).with_name("st")), "--config-file", str(CONFIG), "run"),
        *("--workers", "1", "--max-examples", "3", "--seed", "1", "--no-color", "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--header", f"Authorization: Bearer {one.token}"),
        *(part for path in _ENDS_ITS_OWN_TOKEN for part in ("--exclude-path", path)),
    ]
    with served(app) as url:
        run = subprocess.run(
            [*command, f"{url}/api/v1/openapi.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    counted = re.search(r"(\d+) generated", run.stdout)
    assert counted is not None
    assert int(counted[1]) >= LEAST_CASES
    one.get("/accounts/me").must(200)
