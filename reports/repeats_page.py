"""The repeats of a scenario on one page: each run with its verdict, and how far each figure spreads between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reports.openmetrics import openmetrics_text
from reports.pages import page, utc
from reports.record import MissingPartError, Record
from reports.render import OPENMETRICS_FILE
from reports.repeats import judge_together, planned, verdict_in
from reports.results import ObjectiveResult, OutageFigure, Verdict
from reports.run_folder import run_folders, write_text
from reports.summary import summary_markdown

_MARGIN: Final = 0.06  # of a strip's width, at either end


@dataclass(frozen=True, slots=True)
class Repeat:
    """One run of them; ``verdict`` None: it was never judged. ``report``: whether it has a page of its own."""

    number: int
    name: str
    verdict: Verdict | None
    started: str
    report: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """Where the runs' values, the mean's interval and the bound lie, in per cent of a strip's width."""

    values: list[float]
    low: float | None
    high: float | None
    bound: float | None


def rebuild_together(folder: Path) -> Verdict:
    """Judges the runs together, from the verdict on each, and writes what repeats have: verdict.json, report.html,
    summary.md, openmetrics.txt.

    Raises MissingPartError when repeats.json cannot be read, OSError when the folder cannot be written.
    """
    verdict = judge_together(folder)
    write_text(folder / "summary.md", summary_markdown(Record(folder), verdict))
    write_text(folder / OPENMETRICS_FILE, openmetrics_text(folder.name, verdict, [], []))
    write_text(folder / "report.html", repeats_html(folder, verdict))
    return verdict


def repeats_html(folder: Path, verdict: Verdict) -> str:
    repeats = [_repeat(number, run) for number, run in enumerate(run_folders(folder), start=1)]
    return page(
        "repeats.html.j2",
        {},
        verdict=verdict,
        folder=folder.name,
        planned=planned(folder)[0],
        repeats=repeats,
        objectives=[(each, *_spread_of_objective(each, repeats)) for each in verdict.objectives],
        outages=[(each, *_spread_of_outage(each, repeats)) for each in verdict.figures.outages],
    )


def strip(values: Sequence[float], *, low: float | None, high: float | None, bound: float | None) -> Strip:
    """``values`` not empty. A bound far off is drawn at the edge: it must not squeeze the runs into one."""
    ends = [*values, *(end for end in (low, high) if end is not None)]
    least, most = min(ends), max(ends)
    if bound is not None:
        room = 3 * ((most - least) or abs(least) or 1.0)
        least, most = min(least, max(bound, least - room)), max(most, min(bound, most + room))
    width = (most - least) or 1.0

    def across(value: float | None) -> float | None:
        if value is None:
            return None
        share = min(1.0, max(0.0, (value - least) / width))
        return round(100 * (_MARGIN + (1 - 2 * _MARGIN) * share), 1)

    return Strip(
        [at for value in values if (at := across(value)) is not None], across(low), across(high), across(bound)
    )


def _spread_of_objective(objective: ObjectiveResult, repeats: Iterable[Repeat]) -> tuple[list[float], Strip | None]:
    """What each judged run measured, and its strip; None when no run tells."""
    values = [
        each.measured
        for verdict in _valid(repeats)
        for each in verdict.objectives
        if each.title == objective.title and each.objective == objective.objective and each.measured is not None
    ]
    if not values:
        return [], None
    return values, strip(values, low=objective.low, high=objective.high, bound=objective.bound)


def _spread_of_outage(outage: OutageFigure, repeats: Iterable[Repeat]) -> tuple[list[float], Strip | None]:
    values = [
        each.outage_ms
        for verdict in _valid(repeats)
        for each in verdict.figures.outages
        if each.fault_id == outage.fault_id and each.outage_ms is not None
    ]
    if not values:
        return [], None
    return values, strip(values, low=outage.low_ms, high=outage.high_ms, bound=None)


def _valid(repeats: Iterable[Repeat]) -> list[Verdict]:
    return [each.verdict for each in repeats if each.verdict is not None and not each.verdict.invalid]


def _repeat(number: int, run: Path) -> Repeat:
    try:
        started = utc(Record(run).run["started_ns"])
    except (MissingPartError, KeyError):
        started = ""
    return Repeat(number, run.name, verdict_in(run), started, (run / "report.html").exists())
