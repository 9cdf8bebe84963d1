"""The wheel stands alone: installed elsewhere, it brings its templates, static files and migrations."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import requests

from tests.e2e.service import Service

TREE = Path(__file__).resolve().parent.parent
NOT_SHIPPED = {"__pycache__", ".gitkeep"}

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that sees no path of the source tree; its output.

    :raises AssertionError: if it fails, with all that it said.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without the network."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, TREE, cwd=folder)
    (built,) = folder.glob("booking-*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment that holds the wheel, and borrows the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--disable-pip-version-check", "--no-index", "--no-deps", wheel),
        cwd=folder.parent,
    )
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder.parent)
    borrowed = Path(purelib.strip()) / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent


def files_below(folder: str, prefix: str) -> set[str]:
    return {
        f"{prefix}/{path.relative_to(TREE / folder).as_posix()}"
        for path in (TREE / folder).rglob("*")
        if path.is_file() and not NOT_SHIPPED & set(path.parts)
    }


def test_the_wheel_holds_every_template_static_file_migration_and_catalogue(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    wanted = files_below("web", "booking/_web") | files_below("migrations", "booking/_migrations")
    wanted |= files_below("booking/translations", "booking/translations")
    assert wanted - inside == set()
    strangers = {name for name in inside if not name.startswith(("booking/", "booking-"))}
    assert strangers == set()


def test_an_installed_wheel_finds_its_own_files_from_an_empty_folder(
    bin_folder: Path, tmp_path: Path
) -> None:
    code = (
        "import json, booking.resources as r; "
        "print(json.dumps([str(f()) for f in (r.templates_path, r.static_path, r.migrations_path)]))"
    )
    found = [Path(text) for text in json.loads(run(bin_folder / "python", "-c", code, cwd=tmp_path))]
    assert [path.name for path in found] == ["templates", "static", "_migrations"]
    environment = bin_folder.parent
    assert all(path.is_relative_to(environment) and any(path.iterdir()) for path in found)
    assert (found[1] / "vendor" / "vendor.lock").is_file()


def test_an_installed_wheel_serves_pages_styles_and_api_from_an_empty_folder(
    bin_folder: Path, tmp_path: Path
) -> None:
    service = Service(tmp_path / "empty", program=bin_folder / "booking")
    try:
        page = requests.get(service.url, timeout=30)
        assert page.status_code == 200
        styles = re.findall(r'href="(/static/[^"]+\.css[^"]*)"', page.text)
        assert styles
        assert all(requests.get(service.url.rstrip("/") + path, timeout=30).ok for path in styles)
        assert service.json("GET", "/packages")["items"]
        command = Path(f"/proc/{service.process.pid}/cmdline").read_text(encoding="utf-8")
        assert str(bin_folder) in command
    finally:
        service.close()
