"""The last block a command prints: the verdict, why, and the numbers that matter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.compared import Comparison
from reports.latency import Scope
from reports.results import Verdict, VerdictKind
from reports.summary import figure_rows, objective_rows, result_text, verdict_rows

_STYLES: Final = {
    VerdictKind.PASS: "bold white on green",
    VerdictKind.FAIL: "bold white on red",
    VerdictKind.INCONCLUSIVE: "bold black on yellow",
    VerdictKind.INVALID: "bold white on magenta",
}
_OF_A_SIDE: Final = ("orders acknowledged", "operations offered / achieved", "p50 / p99 outside faults")
MAX_REASONS: Final = 8
_PLAIN_WIDTH: Final = 160  # of a log, where nothing tells how wide it is


def print_verdict(verdict: Verdict, folder: Path, console: Console | None = None) -> None:
    """Plain lines when the console is no terminal. Text from the record is never read as markup."""
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    seed = "" if verdict.seed is None else f"  seed {verdict.seed}"
    console.print()
    console.print(Text.assemble((f" {verdict.verdict} ", _STYLES[verdict.verdict]), f"  {verdict.scenario}{seed}"))
    for reason in verdict.reasons[:MAX_REASONS]:
        console.print(Text(f"  - {reason}"))
    if len(verdict.reasons) > MAX_REASONS:
        console.print(Text(f"  - and {len(verdict.reasons) - MAX_REASONS} more in the report"))
    if verdict.sides:
        console.print(_side_by_side(verdict))
    table = Table.grid(padding=(0, 2))
    for name, value in [] if verdict.sides else figure_rows(verdict.figures):
        table.add_row(Text(f"  {name}"), Text(value))
    for objective in verdict.objectives:
        table.add_row(
            Text(f"  {objective.title or objective.objective} {objective.asked}"),
            Text(f"{objective.outcome.replace('_', ' ')}: {objective.summary}"),
        )
    console.print(table)
    report = folder / "report.html"
    told = f"  report  {report}" if report.exists() else f"  records  {folder}, a folder each run"
    console.print(Text(told), soft_wrap=True)


def _side_by_side(verdict: Verdict) -> Table:
    """A line a side, narrow enough for a terminal: the page has the rest. A search has no figures, but an answer."""
    columns = [row for row in verdict_rows(verdict) if row[0] in _OF_A_SIDE] or [
        [title, *map(result_text, results)] for title, results in objective_rows(verdict)
    ]
    table = Table(box=None, padding=(0, 2), header_style="")
    for title in ("", "verdict", *(title for title, *_ in columns)):
        table.add_column(Text(title))
    for number, side in enumerate(verdict.sides, 1):
        table.add_row(*map(Text, (side.name, side.verdict, *(column[number] for column in columns))))
    return table


def print_comparison(found: Comparison, page: Path, console: Console | None = None) -> None:
    """Orders outside faults and the outages; the rest is on the page."""
    console = console or Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    console.print()
    word, style = (
        ("COMPARABLE", "bold white on blue") if found.comparable else ("NOT COMPARABLE", _STYLES[VerdictKind.INVALID])
    )
    console.print(Text.assemble((f" {word} ", style), f"  {found.run.name} against {found.baseline.name}"))
    for reason in [*found.blockers, *found.cautions]:
        console.print(Text(f"  - {reason}"))
    table = Table.grid(padding=(0, 2))
    for row in found.figures:
        if (row.operation, row.scope) == ("place", Scope.OUTSIDE_FAULTS):
            told = f": {row.told}" if found.comparable else ""
            change = f"{row.percent:+.1f} % (95 % interval {_percent(row.low)} to {_percent(row.high)}){told}"
            table.add_row(Text(f"  order {row.figure} outside faults"), Text(change))
    for outage in found.outages:
        change = "?" if outage.difference_ms is None else f"{outage.difference_ms:+,.0f} ms"
        table.add_row(Text(f"  outage at {outage.fault}"), Text(change))
    console.print(table)
    console.print(Text(f"  report  {page}"), soft_wrap=True)


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:+.1f} %"
