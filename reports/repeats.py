"""Runs of one scenario judged together: what differs from run to run is then part of every interval.

A folder of repeats holds ``repeats.json`` and one run's folder for each. Repeats draw from seeds that follow one
another, so that the moments of faults differ, too. An objective is decided by the mean over the valid runs and its
interval (Student's t); what may never happen at all (a lost order, a violated check) is missed when one run missed it.
Nor does a mean make good a run whose figure is a lower bound (nothing came back) or stands on too few samples.
A run after which the platform never recovered fails them all, whatever else is fit to be judged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from scipy.stats import t

from reports.baseline import kept_baseline, series
from reports.bounds import CONFIDENCE
from reports.gate import never_recovered, objectives_of, untold_by_checks
from reports.measures import measure_change
from reports.objectives import LATENCY, STALENESS
from reports.record import MissingPartError, Record
from reports.results import (
    EXIT_CODES,
    Figures,
    ObjectiveOutcome,
    ObjectiveResult,
    OutageFigure,
    Verdict,
    VerdictKind,
)
from reports.run_folder import REPEATS_FILE, run_folders, write_json

MIN_VALID_SHARE: Final = 0.8
_COUNTED: Final = ("lost_orders", "doubled_orders", "checks")
_MET, _MISSED, _CANNOT_TELL = ObjectiveOutcome.MET, ObjectiveOutcome.MISSED, ObjectiveOutcome.CANNOT_TELL


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over repeats: its mean, and the interval of that at 95 % (None for a single run)."""

    mean: float
    low: float | None
    high: float | None
    runs: int
    worst: float


@dataclass(frozen=True, slots=True)
class _Judged:
    """A run that can be judged; ``number``: which of all repeats it was, from 1 on."""

    number: int
    record: Record
    verdict: Verdict


def describe_repeats(folder: Path, *, scenario: str, repeats: int, seed: int) -> None:
    write_json(folder / REPEATS_FILE, {"scenario": scenario, "repeats": repeats, "seed": seed})


def spread_of(values: Sequence[float]) -> Spread:
    """``values`` not empty."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Spread(mean, None, None, count, max(values))
    half = _t(count) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Spread(mean, mean - half, mean + half, count, max(values))


def judge_together(folder: Path) -> Verdict:
    """Writes verdict.json of the repeats, from their own. Raises MissingPartError when repeats.json cannot be read."""
    verdict = together(folder)
    write_json(folder / "verdict.json", msgspec.to_builtins(verdict))
    return verdict


def together(folder: Path) -> Verdict:
    repeats, scenario, seed = planned(folder)
    valid, unfit = _sorted_out(run_folders(folder))
    invalid = _too_few(len(valid), repeats, unfit)
    gone = [f"repeat {run.number}: {why}" for run in valid for why in never_recovered(run.record)]
    objectives = _objectives([run for run in valid if run.verdict.objectives])
    violated = [f"repeat {run.number}: {violation}" for run in valid for violation in run.verdict.violated]
    failed = [violation for violation in violated if violation not in gone]
    failed += [f"{o.objective}: {o.summary}" for o in objectives if o.outcome is _MISSED]
    untold = [f"{o.objective}: {o.summary}" for o in objectives if o.outcome is _CANNOT_TELL]
    untold += [f"repeat {run.number}: {silent}" for run in valid for silent in _untold_by_checks(run.record)]
    kind = VerdictKind.FAIL if gone else _kind(invalid, failed, untold)
    return Verdict(
        verdict=kind,
        exit_code=EXIT_CODES[kind],
        reasons=[*gone, *invalid, *failed, *untold],
        figures=_figures([run.verdict.figures for run in valid]),
        objectives=objectives,
        invalid=invalid,
        scenario=scenario,
        seed=seed,
    )


def planned(folder: Path) -> tuple[int, str, int]:
    """How many runs of which scenario, from which seed on. Raises MissingPartError."""
    try:
        plan = json.loads((folder / REPEATS_FILE).read_text(encoding="utf-8"))
        return int(plan["repeats"]), str(plan["scenario"]), int(plan["seed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingPartError(f"{REPEATS_FILE} cannot be read: {error}") from error


def _sorted_out(runs: Sequence[Path]) -> tuple[list[_Judged], list[str]]:
    """Those that can be judged, and why the others cannot."""
    valid, unfit = [], []
    for number, run in enumerate(runs, start=1):
        verdict = verdict_in(run)
        if verdict is None or verdict.verdict is VerdictKind.INVALID:
            unfit.append(f"repeat {number} is INVALID: {_first(verdict)}")
        else:
            valid.append(_Judged(number, Record(run), verdict))
    return valid, unfit


def _too_few(valid: int, repeats: int, unfit: list[str]) -> list[str]:
    least = max(2, math.ceil(MIN_VALID_SHARE * repeats))
    if valid >= least:
        return []
    return [f"{valid} of {repeats} repeats can be judged, at least {least} must", *unfit]


def _objectives(runs: Sequence[_Judged]) -> list[ObjectiveResult]:
    records = [run.record for run in runs]
    return [_over_repeats(records, each) for each in zip(*(run.verdict.objectives for run in runs), strict=True)]


def _over_repeats(runs: list[Record], results: Sequence[ObjectiveResult]) -> ObjectiveResult:
    """One objective of all valid runs."""
    if results[0].unit == "%":
        return _change_over(runs, results[0])
    least = max(results, key=lambda each: _weight(_at_best(each)))
    known = [each.measured for each in results if each.measured is not None]
    if len(known) < len(results) and _at_best(least) is not _MISSED:
        silent = next(each.summary for each in results if each.measured is None)
        return msgspec.structs.replace(results[0], outcome=_CANNOT_TELL, summary=silent, measured=None)
    spread = spread_of(known)
    worst = min(known) if least.at_least else max(known)
    summary = f"mean {spread.mean:,.4g} {least.unit} of {spread.runs} runs (95 % interval"
    summary += f" {_number(spread.low)} to {_number(spread.high)}; worst {worst:,.4g})"
    outcome, more, why = _joint(least, spread)
    return msgspec.structs.replace(
        least,
        outcome=outcome,
        summary=summary + why,
        measured=spread.mean,
        low=spread.low,
        high=spread.high,
        more_samples=more,
        censored=any(each.censored for each in results),
    )


def _joint(least: ObjectiveResult, spread: Spread) -> tuple[ObjectiveOutcome, int | None, str]:
    """The outcome of all runs, how many more would decide it, and why if it is not met; ``least`` leaves them least."""
    alone, (outcome, more) = _at_best(least), _decided(least, spread)
    if alone is not _MET and _weight(alone) >= _weight(outcome):
        return alone, None, f"; one of them, whatever the mean: {least.summary}"
    if outcome is _CANNOT_TELL:
        return outcome, more, ": does not tell" + (f", about {more:,} more runs would" if more else "")
    return outcome, more, ""


def _weight(outcome: ObjectiveOutcome) -> int:
    return (_MET, _CANNOT_TELL, _MISSED).index(outcome)


def _at_best(result: ObjectiveResult) -> ObjectiveOutcome:
    """What one run leaves possible for all. A percentile of too few samples is no lower bound: it never fails them."""
    if result.objective in _COUNTED:
        return result.outcome
    if not result.censored or result.outcome is _MET:
        return _MET
    return _CANNOT_TELL if result.objective in (*LATENCY, *STALENESS) else result.outcome


def _change_over(runs: list[Record], result: ObjectiveResult) -> ObjectiveResult:
    """Against a baseline all runs are one side: the baseline's own noise must not be counted as theirs."""
    asked = next(each for each in objectives_of(runs[0]) if each.title == result.title)
    try:
        return measure_change([series(run, asked) for run in runs], kept_baseline(runs[0], asked), asked)
    except MissingPartError as error:
        return msgspec.structs.replace(result, outcome=_CANNOT_TELL, summary=str(error))


def _decided(objective: ObjectiveResult, spread: Spread) -> tuple[ObjectiveOutcome, int | None]:
    """By the mean, as far as that decides: what was counted is for each run by itself to miss."""
    if objective.objective in _COUNTED:
        return _MET, None
    if spread.low is None or spread.high is None:
        return _CANNOT_TELL, None
    ends = (-spread.high, -spread.low) if objective.at_least else (spread.low, spread.high)
    bound = -objective.bound if objective.at_least else objective.bound
    if ends[1] <= bound:
        return _MET, None
    if ends[0] > bound:
        return _MISSED, None
    return _CANNOT_TELL, _runs_to_decide(spread, objective.bound)


def _runs_to_decide(spread: Spread, bound: float) -> int | None:
    """With the spread between these runs; None when their mean is the bound."""
    away = abs(spread.mean - bound)
    if spread.low is None or spread.high is None or not away:
        return None
    deviation = (spread.high - spread.low) / 2 / _t(spread.runs) * math.sqrt(spread.runs)
    for runs in range(spread.runs + 1, 1_000):
        if _t(runs) * deviation / math.sqrt(runs) <= away:
            return runs - spread.runs
    return None


def _figures(each: list[Figures]) -> Figures:
    def mean(name: str) -> float | None:
        known = [value for value in (getattr(figures, name) for figures in each) if value is not None]
        return float(np.mean(known)) if known else None

    def total(name: str) -> int | None:
        known = [value for value in (getattr(figures, name) for figures in each) if value is not None]
        return sum(known) if known else None

    return Figures(
        orders_acknowledged=total("orders_acknowledged"),
        rate_offered_per_s=mean("rate_offered_per_s"),
        rate_achieved_per_s=mean("rate_achieved_per_s"),
        latency_p50_ms=mean("latency_p50_ms"),
        latency_p99_ms=mean("latency_p99_ms"),
        lost_orders=total("lost_orders"),
        doubled_orders=total("doubled_orders"),
        unknown_orders=total("unknown_orders"),
        outages=_outages(each),
        nearest_limit=max(
            (figures.nearest_limit for figures in each if figures.nearest_limit is not None),
            key=lambda nearest: nearest.share,
            default=None,
        ),
    )


def _outages(each: list[Figures]) -> list[OutageFigure]:
    """By fault, the mean over the runs it was injected in, with its interval."""
    by_fault: dict[str, list[OutageFigure]] = {}
    for figures in each:
        for outage in figures.outages:
            by_fault.setdefault(outage.fault_id, []).append(outage)
    found = []
    for outages in by_fault.values():
        spread = spread_of([o.outage_ms for o in outages if o.outage_ms is not None] or [0.0])
        found.append(
            msgspec.structs.replace(
                outages[0],
                outage_ms=spread.mean,
                recovered=all(o.recovered for o in outages),
                low_ms=None if spread.low is None else max(0.0, spread.low),
                high_ms=spread.high,
                runs=spread.runs,
            )
        )
    return found


def _untold_by_checks(record: Record) -> list[str]:
    """Nothing of a run that ended before its checks: it is INVALID, or failed by what ended it."""
    try:
        return untold_by_checks(record.checks())
    except MissingPartError:
        return []


def _kind(invalid: list[str], failed: list[str], untold: list[str]) -> VerdictKind:
    if invalid:
        return VerdictKind.INVALID
    if failed:
        return VerdictKind.FAIL
    return VerdictKind.INCONCLUSIVE if untold else VerdictKind.PASS


def verdict_in(folder: Path) -> Verdict | None:
    """None: the run was never judged, or what it left cannot be read."""
    try:
        return Record(folder).verdict()
    except MissingPartError:
        return None


def _first(verdict: Verdict | None) -> str:
    return "it has no verdict" if verdict is None else next(iter(verdict.reasons), verdict.verdict.value)


def _t(count: int) -> float:
    return float(t.ppf(0.5 + CONFIDENCE / 2, count - 1))


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.4g}"
