"""How bugs are sown into a record, and how a check by name is shown to catch them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reports.record import Record
from reports.results import CheckResult, CheckVerdict
from reports.tests.synthetic import read_rows, write_table
from scenarios.checks import ALL_CHECKS

Row = dict[str, Any]
Spoil = Callable[[list[Row]], list[Row] | None]


def spoil(folder: Path, table: str, bug: Spoil) -> None:
    """Rewrites a table; a bug changes the rows in place or returns others."""
    rows = read_rows(folder, table)
    changed = bug(rows)
    write_table(folder, table, rows if changed is None else changed)


def first(rows: list[Row], **wanted: Any) -> Row:
    return next(row for row in rows if all(row[key] == value for key, value in wanted.items()))


def result_of(folder: Path, name: str) -> CheckResult:
    (check,) = [check for check in ALL_CHECKS if check.name == name]
    return check(Record(folder))


def assert_caught(folder: Path, name: str) -> CheckResult:
    result = result_of(folder, name)
    assert result.verdict is CheckVerdict.VIOLATED, result.summary
    assert result.evidence
    return result


def change_engine(folder: Path, **changes: Any) -> None:
    path = folder / "engine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
