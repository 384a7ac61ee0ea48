"""One run, or several of one scenario, beside others: what changed, by how much, and whether that can be told.

A side of at least three runs (``repeats``) has an interval that holds what differs from run to run; one of fewer
holds only what differs from second to second (reports.comparison), and the comparison says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from reports.bounds import rate_interval
from reports.compared import (
    COMPARISON_VERSION,
    Comparison,
    ErrorChange,
    FigureChange,
    Measured,
    OutageChange,
    Pair,
    SideSummary,
)
from reports.comparison import MIN_RUNS, Side, change, difference, side_of
from reports.dependence import Timed, timed
from reports.gate import verdict_of
from reports.goodput import goodput_by_second
from reports.latency import (
    QUANTILES,
    Scope,
    errors_in,
    kinds,
    measured_operations,
    response_times,
    samples_needed,
)
from reports.likeness import likeness
from reports.objectives import GOODPUT
from reports.record import MissingPartError, Record
from reports.repeats import together
from reports.results import CheckResult, CheckVerdict, OutageFigure, Verdict, VerdictKind
from reports.rows import Operation
from reports.run_folder import REPEATS_FILE, run_folders
from reports.timeline import NS_PER_S

_SCOPES: Final = (Scope.OUTSIDE_FAULTS, Scope.INSIDE_FAULTS)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one side that may be judged (all of them, when none may), and the verdict on them together."""

    name: str
    records: list[Record]
    verdict: Verdict


def runs_in(folder: Path) -> Runs:
    """Of a run's folder, or of repeats. Raises MissingPartError when there is nothing to compare in it."""
    records = [Record(each) for each in run_folders(folder)]
    if not records:
        raise MissingPartError(f"{folder} holds no run")
    if not (folder / REPEATS_FILE).exists():
        return Runs(folder.name, records, verdict_of(records[0]))
    valid = [record for record in records if _may_be_judged(record)]
    return Runs(folder.name, valid or records, together(folder))


def compare(run: Runs, baseline: Runs) -> Comparison:
    """Raises MissingPartError when a record lacks its run.json."""
    alike = likeness(run.records[0].run, baseline.records[0].run)
    unfit = [f"{side.name} is INVALID: {side.verdict.reasons[0]}" for side in (run, baseline) if _invalid(side)]
    blockers, cautions = [*unfit, *alike.blockers], [*_too_few_runs(run, baseline), *alike.cautions]
    return Comparison(
        comparison_version=COMPARISON_VERSION,
        comparable=not blockers,
        blockers=blockers,
        cautions=cautions,
        baseline=_summary(baseline),
        run=_summary(run),
        figures=[*_latencies(run, baseline), *_goodputs(run, baseline)],
        errors=[each for scope in _SCOPES if (each := _errors(run, baseline, scope)) is not None],
        outages=_outages(run.verdict.figures.outages, baseline.verdict.figures.outages),
        objectives=_pairs(_objectives_of(run), _objectives_of(baseline)),
        checks=_pairs(_checks_of(run), _checks_of(baseline)),
        differences=alike.differences,
    )


# -- figures with an interval ----------------------------------------------------------------------


def _latencies(run: Runs, baseline: Runs) -> Iterator[FigureChange]:
    for kind in _kinds_of(run, baseline):
        for scope in _SCOPES:
            ours, theirs = (_series(side, partial(response_times, kind=kind, scope=scope)) for side in (run, baseline))
            fewest = min(map(len, (*ours, *theirs)))
            for name, quantile in QUANTILES.items():
                if fewest >= samples_needed(quantile):
                    yield _figure_change(kind, scope, name, ours, theirs)


def _goodputs(run: Runs, baseline: Runs) -> Iterator[FigureChange]:
    for scope in _SCOPES:
        ours, theirs = (_series(side, partial(_good_by_second, scope=scope)) for side in (run, baseline))
        if all(samples.values.any() for samples in (*ours, *theirs)):
            yield _figure_change("all", scope, GOODPUT, ours, theirs)


def _figure_change(
    operation: str, scope: Scope, figure: str, ours: Sequence[Timed], theirs: Sequence[Timed]
) -> FigureChange:
    quantile = QUANTILES.get(figure)
    run, baseline = side_of(ours, quantile), side_of(theirs, quantile)
    found = change(run, baseline)
    return FigureChange(
        operation=operation,
        scope=scope,
        figure=figure,
        baseline=_measured(baseline, theirs),
        run=_measured(run, ours),
        percent=found.percent,
        low=found.low,
        high=found.high,
    )


def _measured(side: Side, runs: Sequence[Timed]) -> Measured:
    low, high = (None if math.isinf(end) else _of_log(end) for end in (side.low, side.high))
    return Measured(value=_of_log(side.value), low=low, high=high, samples=sum(map(len, runs)))


def _of_log(value: float) -> float:
    return round(math.exp(value), 6)  # a sample's own nanoseconds again


def _series(side: Runs, samples: Callable[[Record], Timed]) -> list[Timed]:
    """One a run; empty where a record does not tell."""
    return [_or(partial(samples, record), timed([], [])) for record in side.records]


def _good_by_second(record: Record, scope: Scope) -> Timed:
    counts = goodput_by_second(record, scope)
    return Timed(np.arange(len(counts), dtype=np.int64) * NS_PER_S, counts)


def _kinds_of(*sides: Runs) -> list[str]:
    nothing: list[Operation] = []
    rows = [_or(partial(measured_operations, record), nothing) for side in sides for record in side.records]
    return kinds(operation for operations in rows for operation in operations)


# -- what was counted whole ------------------------------------------------------------------------


def _errors(run: Runs, baseline: Runs, scope: Scope) -> ErrorChange | None:
    """None: no order was sent."""
    (ours, sent), (theirs, sent_theirs) = (_errors_of(side, scope) for side in (run, baseline))
    if not sent and not sent_theirs:
        return None
    found, counted_whole = None, scope is not Scope.OUTSIDE_FAULTS
    if sent and sent_theirs:
        found = difference(_ratio(ours, sent), _ratio(theirs, sent_theirs))
    return ErrorChange(
        scope=scope,
        baseline_errors=theirs,
        baseline_sent=sent_theirs,
        run_errors=ours,
        run_sent=sent,
        difference=None if found is None else found.value,
        low=None if found is None or counted_whole else found.low,
        high=None if found is None or counted_whole else found.high,
    )


def _ratio(errors: int, sent: int) -> Side:
    return Side(errors / sent, *rate_interval(errors, sent))


def _errors_of(side: Runs, scope: Scope) -> tuple[int, int]:
    found = [each for record in side.records if (each := _or(partial(errors_in, record, scope), None)) is not None]
    return sum(each.errors for each in found), sum(each.sent for each in found)


def _outages(ours: list[OutageFigure], theirs: list[OutageFigure]) -> list[OutageChange]:
    by_fault = [{(o.fault_id, o.kind, o.target): o for o in side} for side in (ours, theirs)]
    return [
        _outage_change(*(side.get(fault) for side in by_fault)) for fault in dict.fromkeys([*by_fault[0], *by_fault[1]])
    ]


def _outage_change(run: OutageFigure | None, baseline: OutageFigure | None) -> OutageChange:
    named = run or baseline
    assert named is not None
    ours, theirs = _span(run), _span(baseline)
    found = None if ours is None or theirs is None else difference(ours, theirs)
    return OutageChange(
        fault=f"{named.kind} {named.target}",
        baseline=baseline,
        run=run,
        difference_ms=None if found is None else found.value,
        low_ms=None if found is None or math.isinf(found.low) else found.low,
        high_ms=None if found is None or math.isinf(found.high) else found.high,
    )


def _span(outage: OutageFigure | None) -> Side | None:
    """None: there was no such fault, or its outage is not known."""
    if outage is None or outage.outage_ms is None:
        return None
    if outage.low_ms is None or outage.high_ms is None:
        return Side(outage.outage_ms, -math.inf, math.inf)
    return Side(outage.outage_ms, outage.low_ms, outage.high_ms)


# -- outcomes --------------------------------------------------------------------------------------


def _pairs(ours: dict[str, tuple[str, str]], theirs: dict[str, tuple[str, str]]) -> list[Pair]:
    """By title: (outcome, summary) of either side."""
    pairs = []
    for title in dict.fromkeys([*ours, *theirs]):
        (run, run_summary), (baseline, baseline_summary) = (side.get(title, ("", "")) for side in (ours, theirs))
        pairs.append(
            Pair(
                title=title,
                baseline=baseline,
                baseline_summary=baseline_summary,
                run=run,
                run_summary=run_summary,
            )
        )
    return pairs


def _objectives_of(side: Runs) -> dict[str, tuple[str, str]]:
    return {f"{o.title or o.objective} {o.asked}": (o.outcome.value, o.summary) for o in side.verdict.objectives}


def _checks_of(side: Runs) -> dict[str, tuple[str, str]]:
    """Of several runs the worst result."""
    worst: dict[str, tuple[str, str]] = {}
    nothing: list[CheckResult] = []
    for check in (check for record in side.records for check in _or(record.checks, nothing)):
        known = worst.get(check.title)
        if known is None or _badness(check.verdict) > _badness(known[0]):
            worst[check.title] = (check.verdict.value, check.summary)
    return worst


def _badness(verdict: str) -> int:
    return (CheckVerdict.HOLDS, CheckVerdict.CANNOT_TELL, CheckVerdict.VIOLATED).index(CheckVerdict(verdict))


def _summary(side: Runs) -> SideSummary:
    return SideSummary(
        name=side.name,
        scenario=side.verdict.scenario,
        seed=side.verdict.seed,
        runs=len(side.records),
        verdict=side.verdict.verdict,
        reasons=side.verdict.reasons,
        figures=side.verdict.figures,
    )


def _too_few_runs(*sides: Runs) -> list[str]:
    if min(len(side.records) for side in sides) >= MIN_RUNS:
        return []
    return [f"what differs from run to run is in no interval here: for that it takes {MIN_RUNS} runs a side"]


def _invalid(side: Runs) -> bool:
    return side.verdict.verdict is VerdictKind.INVALID


def _may_be_judged(record: Record) -> bool:
    verdict = _or(record.verdict, None)
    return verdict is not None and verdict.verdict is not VerdictKind.INVALID


def _or(value: Callable[[], Item], default: Item) -> Item:
    """The value, or ``default`` where the record lacks what it needs: that side is INVALID and says so."""
    try:
        return value()
    except MissingPartError:
        return default
