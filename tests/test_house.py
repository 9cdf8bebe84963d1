"""The rules of the house that no linter can be talked out of."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).resolve().parent.parent
PACKAGE = TREE / "booking"
LOCKS = sorted((TREE / "requirements").glob("*.txt"))
VENDOR = TREE / "web" / "static" / "vendor"
LONGEST_FILE = 400
"""Lines. 250 is the aim; past this a file has two subjects."""

DOORS = (
    "doors.py",
    "postgres.py",
    "sqlite.py",
    "asking.py",
    "lanes.py",
    "server/",
    "adapters/",
    "cli.py",
    "cli/",
)
"""What may read the clock, draw ids, start processes and speak to foreign systems."""
BANNED: dict[str, Any] = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"][
    "lint"
]["flake8-tidy-imports"]["banned-api"]
DATABASE_CLOCKS = ("sqlalchemy.func.now", "sqlalchemy.func.current_timestamp", "sqlalchemy.func.random")
TRANSACTIONS = ("begin", "commit", "rollback")


def is_door(path: Path) -> bool:
    return path.relative_to(PACKAGE).as_posix().startswith(DOORS)


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def names_of_imports(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Every import as (local name, full name, line), wherever it stands in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                yield local, alias.name if alias.asname else local, node.lineno
                yield local, alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}", node.lineno


def full_name(node: ast.AST, known: dict[str, str]) -> str:
    """The dotted name that an expression means, through the imports of its file; empty if it is none."""
    if isinstance(node, ast.Attribute):
        head = full_name(node.value, known)
        return f"{head}.{node.attr}" if head else ""
    return known.get(node.id, "") if isinstance(node, ast.Name) else ""


def is_banned(name: str) -> bool:
    return any(name == banned or name.startswith(f"{banned}.") for banned in (*BANNED, *DATABASE_CLOCKS))


def trespasses(source: str) -> list[str]:
    """Each use of a clock, of chance, of the outside or of a transaction, as `line: name`."""
    tree = ast.parse(source)
    imports = list(names_of_imports(tree))
    known = {local: full for local, full, _ in reversed(imports)}
    found = [(line, full) for _, full, line in imports if is_banned(full)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_banned(name := full_name(node, known)):
            found.append((node.lineno, name))
        elif isinstance(node, ast.Call):
            found += [(node.lineno, name) for name in forbidden_calls(node, known)]
    return [f"{line}: {name}" for line, name in sorted(set(found))]


def forbidden_calls(node: ast.Call, known: dict[str, str]) -> Iterator[str]:
    """What a call does by its name alone: opens or ends a transaction, opens a session, or imports under a string."""
    if isinstance(node.func, ast.Attribute) and node.func.attr in TRANSACTIONS:
        yield f".{node.func.attr}()"
    name = full_name(node.func, known)
    if name in ("sqlalchemy.orm.Session", "sqlalchemy.orm.session.Session"):
        yield "Session()"
    by_string = name == "importlib.import_module" or (
        isinstance(node.func, ast.Name) and node.func.id == "__import__"
    )
    if by_string and any(isinstance(a, ast.Constant) and is_banned(str(a.value)) for a in node.args):
        yield "import by a string"


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import time as clock",
        "from time import sleep",
        "import datetime\ndatetime.datetime.now()",
        "import datetime as dt\ndt.date.today()",
        "from datetime import datetime, UTC\ndefault = datetime.now",
        "from datetime import datetime as d\nd.utcnow()",
        "def f():\n    import random",
        "import os\nos.urandom(8)",
        "from uuid import uuid4",
        "import urllib.request",
        "from urllib import request",
        "import concurrent.futures as pool",
        "from sqlalchemy import func\nfunc.now()",
        "session.commit()",
        "from sqlalchemy.orm import Session\nSession(engine)",
        "import importlib\nimportlib.import_module('secrets')",
        "__import__('socket')",
    ],
)
def test_every_way_around_the_four_doors_is_seen(source: str) -> None:
    assert trespasses(source)


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime, time\ndatetime.fromisoformat('2026-01-01')",
        "from uuid import UUID",
        "import os\nos.path.join('a', 'b')",
        "from sqlalchemy.orm import Session\ndef f(session: Session) -> None: session.flush()",
        "import urllib.parse\nurllib.parse.quote('a')",
    ],
)
def test_what_needs_no_door_is_let_through(source: str) -> None:
    assert trespasses(source) == []


def test_only_the_doors_read_clocks_draw_ids_open_transactions_or_speak_to_the_outside() -> None:
    inside = [path for path in python_files() if not is_door(path)]
    assert len(inside) > 5
    found = {
        path.relative_to(TREE).as_posix(): lines
        for path in inside
        if (lines := trespasses(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_a_migration_stays_true_when_the_code_moves_on_because_it_imports_none_of_it() -> None:
    trees = {
        path.name: ast.parse(path.read_text(encoding="utf-8"))
        for path in (TREE / "migrations" / "versions").glob("*.py")
    }
    assert trees
    assert [
        f"{name}:{line} {full}"
        for name, tree in trees.items()
        for _, full, line in names_of_imports(tree)
        if full.partition(".")[0] == "booking"
    ] == []


def test_no_python_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {
        path.relative_to(TREE).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for path in python_files()
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_host_and_hashes_every_package(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert not re.search(
        r"://|^\s*(--(extra-)?index|--find-links|--trusted-host|-f |-i )", text, re.MULTILINE
    )
    pins = re.findall(r"^[a-z0-9]", text, re.MULTILINE)
    hashed = re.findall(r"^[a-z0-9][\w.\[\],-]*==\S+(?: ;[^\n]*)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(hashed) > 0


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_never_holds_caldav_which_replaces_urllib3(lock: Path) -> None:
    forbidden = re.compile(r"^(caldav|niquests|urllib3-future)\b", re.MULTILINE)
    assert not forbidden.search(lock.read_text(encoding="utf-8"))


def test_the_locks_agree_with_each_other_and_hold_what_pyproject_asks_for() -> None:
    pins = {
        lock.name: dict(
            re.findall(
                r"^([a-z0-9][\w.-]*)(?:\[\S+\])?==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE
            )
        )
        for lock in LOCKS
    }
    base, dev = pins["base.txt"], pins["dev.txt"]
    assert {name: dev.get(name) for name in base} == base
    first = pins["bootstrap.txt"]
    assert {name: dev[name] for name in first if name in dev} == {
        name: first[name] for name in first if name in dev
    }
    wanted = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\[<>=~! ;]", entry, maxsplit=1)[0].lower() for entry in wanted}
    assert names - set(base) == set()


def tracked_files() -> list[Path]:
    """Every file that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TREE,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := TREE / name).is_file()]


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    path_of_a_machine = re.compile(rb"(?<![\w.}>-])/(?:root(?![\w-])|work(?![\w-])|home/\w|Users/\w)")
    found = [
        path.relative_to(TREE).as_posix()
        for path in tracked_files()
        if path.suffix not in {".png", ".jpg", ".ico"} and path_of_a_machine.search(path.read_bytes())
    ]
    assert found == []


def test_every_vendored_file_is_the_one_that_the_lock_names() -> None:
    lock = json.loads((VENDOR / "vendor.lock").read_text(encoding="utf-8"))
    expected = {
        f"{package['folder']}/{name}": entry["sha384"]
        for package in lock["packages"]
        for name, entry in package["files"].items()
    }
    actual = {
        path.relative_to(VENDOR).as_posix(): "sha384-"
        + base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.lock"
    }
    assert actual == expected
    assert all(package["licence"] and package["integrity"] for package in lock["packages"])
    assert {f"{package['folder']}/LICENSE" for package in lock["packages"]} <= set(actual)
