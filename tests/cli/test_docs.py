"""What the documents say is true: settings, commands, links, and every session that can be run."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from booking.cli import COMMANDS
from booking.config import PREFIX, Settings
from tests.cli.conftest import Terminal
from tests.e2e.service import IMAGINED, Service

TREE = Path(__file__).resolve().parents[2]
DOCS = TREE / "docs"
DOCUMENTS = sorted([*TREE.glob("*.md"), *DOCS.rglob("*.md")])
ELSEWHERE = "the user's data folder"
SITE = re.compile(r"^SITE=.*$", re.MULTILINE)
TOKEN = re.compile(r"^TOKEN=.*$", re.MULTILINE)


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def settings_table() -> str:
    """The reference of settings as the guide for administrators holds it."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for item in fields(Settings):
        default = item.default
        assert default is not MISSING
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        if isinstance(default, Path):
            shown = ELSEWHERE
        elif shown:
            shown = f"`{shown}`"
        lines.append(f"| `{PREFIX}{item.name.upper()}` | {shown} | {item.metadata['help']} |")
    return "\n".join(lines)


def test_the_reference_of_settings_is_that_of_the_code() -> None:
    text = (DOCS / "administrators.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- settings: .*? -->\n(.*?)\n<!-- end of settings -->", text, re.DOTALL)
    assert found
    assert found.group(1) == settings_table()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(TREE).as_posix())
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_every_command_stands_in_the_guides() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert [name for name in COMMANDS if f"booking {name}" not in text] == []


def test_the_commands_of_the_guide_for_administrators_run_as_they_stand(lite: Terminal) -> None:
    lite.ok("init")
    lines = [line for block in blocks(DOCS / "administrators.md", "console") for line in block.splitlines()]
    assert len(lines) > 20
    for line in lines:
        prompt, program, *words = shlex.split(line)
        assert (prompt, program) == ("$", "booking")
        lite.ok(*words)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A site whose clusters are imagined, for sessions with curl."""
    started = Service(tmp_path_factory.mktemp("docs"), settings=IMAGINED)
    yield started
    started.close()


def session(service: Service, document: Path) -> str:
    """What the blocks of a document print, run one after the other by a shell that stops at the first fault."""
    script = "\n".join(blocks(document, "sh"))
    script = SITE.sub(f"SITE={service.url.rstrip('/')}", script, count=1)
    script = TOKEN.sub(f"TOKEN={service.token}", script, count=1)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.xdist_group("serve")
def test_the_session_of_the_readme_runs_as_it_stands(service: Service) -> None:
    said = session(service, TREE / "README.md")
    assert "problem" not in said
    assert '"package":"small"' in said
    assert '"name":"notebook"' in said
    assert '"token":' in said
    (booking, *_) = service.json("GET", "/bookings")["items"]
    assert booking["state"] in ("ending", "ended")


@pytest.mark.slow
@pytest.mark.xdist_group("serve")
def test_the_session_of_the_guide_for_services_runs_as_it_stands(service: Service) -> None:
    said = session(service, DOCS / "services.md")
    assert re.findall(r"(?<=})(?:201|304)$", said, re.MULTILINE) == ["304", "201"]
    assert '"kind": "later"' in said
    assert '"title":"another course"' in said
    assert '"state":"cancelled"' in said
    # Two free days in a row there are only on some days of the week: the guide books tomorrow.
    (row,) = re.findall(r"^custom +(?:(?:===|---) ?){7}$", said, re.MULTILINE)
    assert "===" in row
    assert '"status":"ready"' in said
