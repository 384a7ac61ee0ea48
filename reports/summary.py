"""summary.md: the verdict and its numbers for a pull request or a job's summary page."""

from __future__ import annotations

import re
from typing import Final

from reports.record import MissingPartError, Record
from reports.results import CheckResult, Figures, NearestLimit, ObjectiveResult, Verdict

# A figure that somebody has.
_TOLD: Final = re.compile(r"\d")
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|!~&])")


def summary_markdown(record: Record, verdict: Verdict) -> str:
    """Everything from the record is escaped."""
    try:
        checks = record.checks()
    except MissingPartError:
        checks = []
    seed = "" if verdict.seed is None else f", seed {verdict.seed}"
    lines = [f"# {verdict.verdict}: {_text(verdict.scenario)}{seed}", ""]
    lines += [f"- {_text(reason)}" for reason in verdict.reasons]
    figures = [[name, *map(_text, values)] for name, *values in verdict_rows(verdict)]
    figures += [[_text(name), *map(result_text, results)] for name, results in objective_rows(verdict)]
    lines += _table(["", *([_text(side.name) for side in verdict.sides] or [""])], figures)
    lines += _table(["objective", "bound", "result", ""], list(map(_objective_cells, verdict.objectives)))
    lines += _table(["check", "result", ""], list(map(_check_cells, checks)))
    lines.append("")
    return "\n".join(lines)


def verdict_rows(verdict: Verdict) -> list[list[str]]:
    """What the figures say, a line each: a name and its value, or its value on every side, where any side has one."""
    if not verdict.sides:
        return [[name, value] for name, value in figure_rows(verdict.figures)]
    rows: dict[str, list[str]] = {}
    for number, side in enumerate(verdict.sides):
        for name, value in figure_rows(side.figures):
            rows.setdefault(name, [""] * len(verdict.sides))[number] = value
    told = [[name, *values] for name, values in rows.items() if any(map(_TOLD.search, values))]
    return [["verdict", *(side.verdict.value for side in verdict.sides)], *told]


def objective_rows(verdict: Verdict) -> list[tuple[str, list[ObjectiveResult | None]]]:
    """Each objective of any side, and what came of it on every side."""
    by_side = [{each.title or each.objective: each for each in side.objectives} for side in verdict.sides]
    titles = dict.fromkeys(title for results in by_side for title in results)
    return [(title, [results.get(title) for results in by_side]) for title in titles]


def result_text(result: ObjectiveResult | None) -> str:
    """Short enough for a cell."""
    if result is None:
        return "–"
    measured = "" if result.measured is None else f" {result.measured:.4g}"
    return _word(result.outcome) + measured


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Cells are Markdown."""
    return ["", _line(head), f"|{'---|' * len(head)}", *map(_line, rows)] if rows else []


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def figure_rows(figures: Figures) -> list[tuple[str, str]]:
    """The numbers that matter, as name and text; what the record does not tell reads "?"."""
    rates = f"{_number(figures.rate_offered_per_s, 1)} / {_number(figures.rate_achieved_per_s, 1)} a second"
    quick = f"{_number(figures.latency_p50_ms, 1)} / {_number(figures.latency_p99_ms, 1)} ms"
    lost = f"{_number(figures.lost_orders)} / {_number(figures.doubled_orders)}"
    rows = [
        ("orders acknowledged", _number(figures.orders_acknowledged)),
        ("lost / doubled", lost),
        ("unknown outcomes, resolved", _number(figures.unknown_orders)),
        ("operations offered / achieved", rates),
        ("p50 / p99 outside faults", quick),
        ("nearest to its limit", _nearest(figures.nearest_limit)),
    ]
    for outage in figures.outages:
        never = "" if outage.recovered else ", not recovered"
        over = ""
        if outage.runs > 1:
            over = f", mean of {outage.runs} runs (95 %: {_number(outage.low_ms)} to {_number(outage.high_ms)})"
        rows.append((f"outage at {outage.kind} {outage.target}", f"{_number(outage.outage_ms)} ms{over}{never}"))
    return rows


def _objective_cells(objective: ObjectiveResult) -> list[str]:
    name = _text(objective.title or objective.objective)
    return [name, _text(objective.asked), _word(objective.outcome), _text(objective.summary)]


def _check_cells(check: CheckResult) -> list[str]:
    return [_text(check.title), _word(check.verdict), _text(check.summary)]


def _word(outcome: str) -> str:
    return outcome.replace("_", " ")


def _nearest(limit: NearestLimit | None) -> str:
    return "?" if limit is None else f"{limit.name}, at {limit.share:.0%} of it"


def _number(value: float | None, digits: int = 0) -> str:
    return "?" if value is None else f"{value:,.{digits}f}"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
