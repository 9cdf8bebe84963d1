"""Collects what people read, brings the catalogue of every language up to it, and compiles it: `make messages`."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

TREE = Path(__file__).resolve().parent.parent
CATALOGUES = TREE / "booking" / "translations"
KEYWORDS = DEFAULT_KEYWORDS | {"marked": None, "dated": (2,)}
"""The functions that take a message, and which of their arguments it is."""


def collected() -> Catalog:
    """Every message of the sources, with the files it is in."""
    with (TREE / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    found = Catalog()
    for folder in ("booking/pages", "web/templates"):
        for name, _, message, comments, context in extract_from_dir(
            TREE / folder, methods, options, KEYWORDS, directory_filter=None
        ):
            found.add(message, None, [(f"{folder}/{name}", 0)], auto_comments=comments, context=context)
    return found


def catalogue(path: Path) -> Catalog:
    """The catalogue of a language, from its `.po`."""
    with path.open("rb") as file:
        return read_po(file, locale=Locale.parse(path.parts[-3]))


def compiled(found: Catalog) -> bytes:
    """The same as the application reads it."""
    file = io.BytesIO()
    write_mo(file, found)
    return file.getvalue()


def main() -> int:
    wanted, missing = collected(), 0
    for path in sorted(CATALOGUES.glob("*/LC_MESSAGES/messages.po")):
        found = catalogue(path)
        found.update(wanted, no_fuzzy_matching=True, update_creation_date=False)
        with path.open("wb") as file:
            write_po(file, found, width=100, sort_by_file=True, include_lineno=False, ignore_obsolete=True)
        path.with_suffix(".mo").write_bytes(compiled(found))
        print(f"{path.parts[-3]}: {len(found)} messages, {len(untranslated(found))} of them untranslated")
        missing += len(untranslated(found))
    return 1 if missing else 0


def untranslated(found: Catalog) -> list[str]:
    """The messages without a text, or without one for a number."""

    def lacks(text: str | Sequence[str] | None) -> bool:
        return not text or not all([text] if isinstance(text, str) else text)

    return [str(message.id) for message in found if message.id and lacks(message.string)]


if __name__ == "__main__":
    sys.exit(main())
