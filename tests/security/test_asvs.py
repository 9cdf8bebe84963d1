"""The page that answers the standard: each of its lines once, and what it points to is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
PAGE = (TREE / "docs" / "security.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| (\d+\.\d+\.\d+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
OF_CHAPTER = {
    1: 27, 2: 11, 3: 19, 4: 10, 5: 9, 6: 35, 7: 18, 8: 7, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13, 16: 16
}  # fmt: skip
"""How many requirements of levels 1 and 2 each chapter of version 5.0.0 has."""


def test_every_requirement_of_level_2_is_answered_once() -> None:
    ids = [number for number, _, _ in LINES]
    assert [number for number, count in Counter(ids).items() if count > 1] == []
    assert Counter(int(number.partition(".")[0]) for number in ids) == OF_CHAPTER
    assert len(ids) == 246


def test_every_answer_is_one_of_the_words_and_gives_its_reason() -> None:
    for number, about, answer in LINES:
        word, _, reason = re.sub(r";", ":", answer, count=1).partition(":")
        assert word in ("yes", "part", "no", "n/a", "operator"), (number, answer)
        assert about
        assert reason or word in ("no", "operator"), (number, answer)


def test_what_it_points_to_is_there() -> None:
    files = re.findall(r"`((?:booking|tests|web|requirements)/[\w./-]+)`", PAGE)
    assert len(files) > 60
    assert [name for name in files if not (TREE / name).exists()] == []
    pages = re.findall(r"\]\((?!http)([\w./-]+)\)", PAGE)
    assert [name for name in pages if not (TREE / "docs" / name).exists()] == []
