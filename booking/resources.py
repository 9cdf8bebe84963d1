"""Where the files beside the code are: in the wheel inside the package, in a source tree beside it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(in_wheel: str, in_tree: str) -> Path:
    """The wheel's copy where there is one, else the source tree's.

    :raises FileNotFoundError: where neither exists: the installation is damaged.
    """
    for path in (_PACKAGE / in_wheel, _PACKAGE.parent / in_tree):
        if path.is_dir():
            return path
    raise FileNotFoundError(
        f"{_PACKAGE / in_wheel} is missing: the installation is damaged, install the wheel again"
    )


def templates_path() -> Path:
    """The folder of the page templates."""
    return _folder("_web/templates", "web/templates")


def static_path() -> Path:
    """The folder of the style sheet, the scripts and the vendored libraries."""
    return _folder("_web/static", "web/static")


def migrations_path() -> Path:
    """The folder of the Alembic migrations."""
    return _folder("_migrations", "migrations")
