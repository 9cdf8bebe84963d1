"""What a proof starts in a session of its own shall still not outlive the proof."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.service import PROGRAM


def leashed(folder: Path, before: str = "") -> Path:
    """A program that is `booking`, but is killed with the one that starts it; `before` prepares its place."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "leashed"
    program.write_text(f'#!/bin/sh\nexec setpriv --pdeathsig KILL {before} {PROGRAM} "$@"\n')
    program.chmod(0o755)
    return program
