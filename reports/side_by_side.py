"""Several runs of one scenario side by side: its variants, or the values that a search tried.

Their folder holds ``series.json`` and, for each, a folder of its own: a run's, one of repeats, or again one like this.
Variants are judged each by the scenario's objectives, and against one another by those whose baseline is a variant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from reports.baseline import series
from reports.measures import measure_change
from reports.objectives import Objective, parse_objective
from reports.openmetrics import openmetrics_text
from reports.pages import page
from reports.record import MissingPartError, Record
from reports.render import OPENMETRICS_FILE
from reports.repeats import verdict_in
from reports.results import (
    EXIT_CODES,
    Figures,
    ObjectiveOutcome,
    ObjectiveResult,
    SideResult,
    Verdict,
    VerdictKind,
)
from reports.run_folder import SERIES_FILE, is_record, label_of, run_folders, write_json, write_text
from reports.search import Search, Tried, capacity
from reports.summary import objective_rows, summary_markdown, verdict_rows


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """series.json: the names of ``variants`` and the ``objectives`` that compare one with another (as a scenario
    states them), or a ``search``, whose runs are named by the value they tried."""

    scenario: str
    seed: int
    variants: list[str] = msgspec.field(default_factory=list)
    objectives: list[dict[str, Any]] = msgspec.field(default_factory=list)
    search: Search | None = None


def write_series(folder: Path, planned: Series) -> None:
    write_json(folder / SERIES_FILE, msgspec.to_builtins(planned))


def read_series(folder: Path) -> Series:
    """Raises MissingPartError when series.json cannot be read."""
    try:
        return msgspec.json.decode((folder / SERIES_FILE).read_bytes(), type=Series)
    except (OSError, msgspec.MsgspecError) as error:
        raise MissingPartError(f"{SERIES_FILE} cannot be read: {error}") from error


def rebuild_series(folder: Path) -> Verdict:
    """From the verdict on each: verdict.json, report.html, summary.md, openmetrics.txt.

    Raises MissingPartError when series.json cannot be read, OSError when the folder cannot be written.
    """
    verdict = judge_series(folder)
    write_json(folder / "verdict.json", msgspec.to_builtins(verdict))
    write_text(folder / "summary.md", summary_markdown(Record(folder), verdict))
    write_text(folder / OPENMETRICS_FILE, openmetrics_text(folder.name, verdict, [], []))
    write_text(folder / "report.html", _html(folder, verdict))
    return verdict


def _html(folder: Path, verdict: Verdict) -> str:
    return page(
        "side_by_side.html.j2",
        {},
        verdict=verdict,
        folder=folder.name,
        rows=verdict_rows(verdict),
        objectives=objective_rows(verdict),
    )


def judge_series(folder: Path) -> Verdict:
    planned, found = read_series(folder), side_folders(folder)
    if planned.search is not None:
        return _searched(planned, planned.search, [_side(label_of(each).partition("-")[0], each) for each in found])
    folders = {label_of(each): each for each in found}
    sides = [_side(name, folders.get(name)) for name in planned.variants]
    comparisons = list(_comparisons(planned, folders))
    by_weight = {
        VerdictKind.INVALID: _reasons(sides, VerdictKind.INVALID),
        VerdictKind.FAIL: [*_reasons(sides, VerdictKind.FAIL), *_told(comparisons, ObjectiveOutcome.MISSED)],
        VerdictKind.INCONCLUSIVE: [
            *_reasons(sides, VerdictKind.INCONCLUSIVE),
            *_told(comparisons, ObjectiveOutcome.CANNOT_TELL),
        ],
    }
    kind = next((kind for kind, reasons in by_weight.items() if reasons), VerdictKind.PASS)
    return _verdict(planned, kind, sides, [reason for reasons in by_weight.values() for reason in reasons], comparisons)


def side_folders(folder: Path) -> list[Path]:
    """In the order in which they were begun."""
    return sorted(each for each in folder.iterdir() if each.is_dir() and is_record(each))


def _searched(planned: Series, search: Search, sides: list[SideResult]) -> Verdict:
    tried = [Tried(float(side.name), side.verdict, side.why) for side in sides]
    if not tried:
        return _verdict(planned, VerdictKind.INVALID, [], ["nothing was tried"], [])
    kind, found = capacity(search, tried)
    reasons = [] if kind is VerdictKind.PASS else [f"{found.title}: {found.summary}"]
    return _verdict(planned, kind, sorted(sides, key=lambda side: float(side.name)), reasons, [found])


def _verdict(
    planned: Series,
    kind: VerdictKind,
    sides: list[SideResult],
    reasons: list[str],
    objectives: list[ObjectiveResult],
) -> Verdict:
    return Verdict(
        verdict=kind,
        exit_code=EXIT_CODES[kind],
        reasons=reasons,
        figures=Figures(),
        objectives=objectives,
        invalid=reasons if kind is VerdictKind.INVALID else [],
        scenario=planned.scenario,
        seed=planned.seed,
        sides=sides,
    )


def _side(name: str, folder: Path | None) -> SideResult:
    verdict = None if folder is None else verdict_in(folder)
    if folder is None or verdict is None:
        nothing, where = "it has no verdict", "" if folder is None else folder.name
        return SideResult(name=name, folder=where, verdict=VerdictKind.INVALID, why=nothing, figures=Figures())
    return SideResult(
        name=name,
        folder=folder.name,
        verdict=verdict.verdict,
        why=next(iter(verdict.reasons), ""),
        figures=verdict.figures,
        objectives=verdict.objectives,
    )


def _comparisons(planned: Series, folders: Mapping[str, Path]) -> Iterator[ObjectiveResult]:
    """Every other variant against the one that an objective names, over the runs of each that can be judged."""
    runs = {name: list(_fit_runs(folders[name])) if name in folders else [] for name in planned.variants}
    for objective in map(parse_objective, planned.objectives):
        for name, its in runs.items():
            if name != objective.baseline:
                yield _compared(name, objective, its, runs.get(objective.baseline or "", []))


def _fit_runs(folder: Path) -> Iterator[Record]:
    for run in run_folders(folder):
        verdict = verdict_in(run)
        if verdict is not None and not verdict.invalid:
            yield Record(run)


def _compared(name: str, objective: Objective, ours: list[Record], theirs: list[Record]) -> ObjectiveResult:
    title = f"{name}: {objective.title}"
    try:
        if not ours or not theirs:
            raise MissingPartError("no run of it, or none of its baseline, can be judged")
        samples = [[series(run, objective) for run in runs] for runs in (ours, theirs)]
        found = measure_change(samples[0], samples[1], objective)
    except MissingPartError as error:
        return ObjectiveResult(
            objective=objective.name,
            scope=objective.scope or "",
            bound=objective.bound,
            unit="%",
            outcome=ObjectiveOutcome.CANNOT_TELL,
            summary=str(error),
            at_least=objective.at_least,
            title=title,
        )
    return msgspec.structs.replace(found, title=title)


def _reasons(sides: Iterable[SideResult], kind: VerdictKind) -> list[str]:
    return [f"{side.name} is {kind}: {side.why}" for side in sides if side.verdict is kind and side.why]


def _told(results: Iterable[ObjectiveResult], outcome: ObjectiveOutcome) -> list[str]:
    return [f"{each.title}: {each.summary}" for each in results if each.outcome is outcome]
