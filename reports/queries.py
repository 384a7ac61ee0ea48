"""The query behind each number of the report: written down once, shown with the number, and kept beside the record."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

_FILE: Final = Path(__file__).with_name("queries.sql")
_MARK: Final = "-- name: "


def text() -> str:
    """The views and every named query, as a run's folder holds them (queries.sql)."""
    return _FILE.read_text(encoding="utf-8")


def views() -> str:
    return text().partition(_MARK)[0]


def queries() -> dict[str, str]:
    """By name, in the file's order."""
    parts = (part.partition("\n") for part in text().split(_MARK)[1:])
    return {name: query.strip() for name, _, query in parts}


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that has the views, and reads the record's files by their names.

    Raises duckdb.IOException when the record lacks one that a view needs.
    """
    connection = duckdb.connect(config={"file_search_path": str(folder), "autoinstall_known_extensions": "false"})
    connection.execute(views())
    return connection
