"""What ALPACA.md says, as data: per heading the parameters and fields of its tables, with their verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[2] / "ALPACA.md"
VERDICTS: Final = {"same", "differs", "absent", "ours"}

_QUOTED: Final = re.compile(r"`([^`]+)`")


class PageError(Exception):
    """A table that cannot be read."""


@dataclass(slots=True)
class Section:
    """Verdicts by name. ``asked`` are parameters and body fields, ``fields`` those of the answer."""

    asked: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    def there(self, table: str) -> set[str]:
        return {name for name, verdict in getattr(self, table).items() if verdict != "absent"}


def read_page(text: str) -> dict[str, Section]:
    """Sections by heading, which is a route (``GET /v2/clock``) or the name of what is answered (``Order``).

    A heading of several routes is there once for each.
    Raises PageError for a row without a verdict, or a name that is in two rows.
    """
    sections: dict[str, Section] = {}
    for heading, lines in _headings(text.splitlines()):
        section = Section()
        sections |= dict.fromkeys(heading.replace("`", "").split(", "), section)
        for kind, names, verdict in _rows(lines):
            table = getattr(section, {"asked": "asked", "field": "fields"}[kind])
            if verdict not in VERDICTS or not names:
                raise PageError(f"{heading}: {names} {verdict!r}")
            for name in names:
                if name in table:
                    raise PageError(f"{heading}: {name} is there twice")
                table[name] = verdict
    return sections


def _headings(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    heading, body = "", list[str]()
    for line in lines:
        if line.startswith("#"):
            if heading:
                yield heading, body
            heading, body = line.removeprefix("### ") if line.startswith("### ") else "", []
        body.append(line)
    if heading:
        yield heading, body


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, list[str], str]]:
    """The rows of tables whose first column is called ``asked`` or ``field``."""
    kind = ""
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            kind = ""
        elif cells[0] in ("asked", "field"):
            kind = cells[0]
        elif kind and not cells[0].startswith("--"):
            yield kind, _QUOTED.findall(cells[0]), cells[1]
