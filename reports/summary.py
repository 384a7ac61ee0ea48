"""summary.md: the verdict and its numbers for a pull request or a job's summary page."""

from __future__ import annotations

import re
from typing import Final

from reports.record import MissingPartError, Record
from reports.results import CheckResult, Figures, ObjectiveResult, Verdict

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
    lines += ["", "| | |", "|---|---|"] if not verdict.sides else _head(["", *(side.name for side in verdict.sides)])
    lines += [f"| {name} | {' | '.join(map(_text, values))} |" for name, *values in verdict_rows(verdict)]
    lines += ["", "| objective | bound | result | |", "|---|---|---|---|"]
    lines += map(_objective_line, verdict.objectives)
    lines += ["", "| check | result | |", "|---|---|---|", *map(_check_line, checks), ""]
    return "\n".join(lines)


def verdict_rows(verdict: Verdict) -> list[list[str]]:
    """What the figures say, a line each: a name and its value, or its value on every side."""
    if not verdict.sides:
        return [[name, value] for name, value in figure_rows(verdict.figures)]
    rows = {"verdict": [side.verdict.value for side in verdict.sides]}
    for number, side in enumerate(verdict.sides):
        for name, value in figure_rows(side.figures):
            rows.setdefault(name, [""] * len(verdict.sides))[number] = value
    return [[name, *values] for name, values in rows.items()]


def _head(columns: list[str]) -> list[str]:
    return ["", f"| {' | '.join(map(_text, columns))} |", f"|{'---|' * len(columns)}"]


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
    ]
    for outage in figures.outages:
        never = "" if outage.recovered else ", not recovered"
        over = ""
        if outage.runs > 1:
            over = f", mean of {outage.runs} runs (95 %: {_number(outage.low_ms)} to {_number(outage.high_ms)})"
        rows.append((f"outage at {outage.kind} {outage.target}", f"{_number(outage.outage_ms)} ms{over}{never}"))
    return rows


def _objective_line(objective: ObjectiveResult) -> str:
    name = _text(objective.title or objective.objective)
    return f"| {name} | {_text(objective.asked)} | {_word(objective.outcome)} | {_text(objective.summary)} |"


def _check_line(check: CheckResult) -> str:
    return f"| {_text(check.title)} | {_word(check.verdict)} | {_text(check.summary)} |"


def _word(outcome: str) -> str:
    return outcome.replace("_", " ")


def _number(value: float | None, digits: int = 0) -> str:
    return "?" if value is None else f"{value:,.{digits}f}"


def _text(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
