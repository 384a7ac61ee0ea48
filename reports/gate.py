"""From a record to a verdict: INVALID before FAIL before INCONCLUSIVE before PASS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from reports.latency import QUANTILES, Percentile, Scope, percentile, response_times, samples_needed
from reports.measures import measure
from reports.objectives import Objective, ObjectiveError, parse_objective
from reports.outage import Outage, outages
from reports.record import MissingPartError, Record
from reports.records import OutcomeKind
from reports.resources import nearest_limit
from reports.results import (
    EXIT_CODES,
    CheckResult,
    CheckVerdict,
    Figures,
    ObjectiveOutcome,
    ObjectiveResult,
    OutageFigure,
    Verdict,
    VerdictKind,
)
from reports.run_folder import write_json
from reports.validity import judge_validity, schedule_kept


def judge(record: Record) -> Verdict:
    """Judges the run and writes verdict.json. Needs checks.json; a record without it is INVALID."""
    verdict = verdict_of(record)
    write_json(record.folder / "verdict.json", msgspec.to_builtins(verdict))
    return verdict


def verdict_of(record: Record) -> Verdict:
    invalid = [reason for finding in judge_validity(record) for reason in finding.reasons]
    checks, objectives = [], []
    try:
        checks = record.checks()
        objectives = [measure(record, checks, objective) for objective in objectives_of(record)]
    except (MissingPartError, ObjectiveError) as error:
        invalid.append(str(error))
    failed, untold = _failures(checks, objectives), _untold(checks, objectives)
    gone = never_recovered(record)
    kind = VerdictKind.FAIL if gone else _verdict_kind(invalid, failed, untold)
    return Verdict(
        verdict=kind,
        exit_code=EXIT_CODES[kind],
        reasons=[*gone, *invalid, *failed, *untold],
        figures=figures_of(record, checks),
        objectives=objectives,
        invalid=invalid,
        violated=[*gone, *_violated(checks)],
        scenario=_from_run(record, "scenario") or "",
        seed=_from_run(record, "seed"),
    )


def objectives_of(record: Record) -> list[Objective]:
    """The scenario's objectives as run.json keeps them. Raises ObjectiveError."""
    return [parse_objective(entry) for entry in record.run.get("objectives", [])]


def untold_by_checks(checks: list[CheckResult]) -> list[str]:
    if not checks:
        return ["no check ran"]
    return [f"{check.title}: {check.summary}" for check in checks if check.verdict is CheckVerdict.CANNOT_TELL]


def never_recovered(record: Record) -> list[str]:
    """The platform did not come back once it was healed: what is then missing in the record is its doing."""
    events = _or_none(lambda: record.events) or []
    return [f"the platform never recovered: {event.text('why')}" for event in events if event.event == "not_recovered"]


def figures_of(record: Record, checks: list[CheckResult]) -> Figures:
    """The numbers that matter, as far as the record has them."""
    counts = _counts(checks)
    return Figures(
        orders_acknowledged=_or_none(lambda: _acknowledged(record)),
        rate_offered_per_s=_or_none(lambda: schedule_kept(record).rate_offered_per_s),
        rate_achieved_per_s=_or_none(lambda: schedule_kept(record).rate_achieved_per_s),
        latency_p50_ms=_or_none(lambda: _latency(record, "p50").value),
        latency_p99_ms=_or_none(lambda: _latency(record, "p99").value),
        lost_orders=counts.get("lost"),
        doubled_orders=counts.get("doubled"),
        unknown_orders=counts.get("unknown"),
        outages=_or_none(lambda: [_outage_figure(outage) for outage in outages(record)]) or [],
        nearest_limit=_or_none(lambda: nearest_limit(record)),
    )


# -- judging ---------------------------------------------------------------------------------------


def _verdict_kind(invalid: list[str], failed: list[str], untold: list[str]) -> VerdictKind:
    if invalid:
        return VerdictKind.INVALID
    if failed:
        return VerdictKind.FAIL
    return VerdictKind.INCONCLUSIVE if untold else VerdictKind.PASS


def _violated(checks: list[CheckResult]) -> list[str]:
    return [f"{check.title}: {check.summary}" for check in checks if check.verdict is CheckVerdict.VIOLATED]


def _failures(checks: list[CheckResult], objectives: list[ObjectiveResult]) -> list[str]:
    missed = [o for o in objectives if o.outcome is ObjectiveOutcome.MISSED]
    return [*_violated(checks), *(f"{o.objective} {_beyond(o)}: {o.summary}" for o in missed)]


def _beyond(objective: ObjectiveResult) -> str:
    bound = f"{objective.bound:+g} %" if objective.unit == "%" else f"{objective.bound:g}"
    return f"{'under' if objective.at_least else 'over'} {bound}"


def _untold(checks: list[CheckResult], objectives: list[ObjectiveResult]) -> list[str]:
    return [
        *untold_by_checks(checks),
        *(f"{o.objective}: {o.summary}" for o in objectives if o.outcome is ObjectiveOutcome.CANNOT_TELL),
    ]


def _latency(record: Record, name: str) -> Percentile:
    samples, quantile = response_times(record, "place", Scope.OUTSIDE_FAULTS), QUANTILES[name]
    if len(samples) < samples_needed(quantile):
        raise MissingPartError(f"{len(samples)} samples are too few for a {name}")
    return percentile(samples, quantile)


def _outage_figure(outage: Outage) -> OutageFigure:
    fault = outage.fault
    return OutageFigure(
        fault_id=fault.fault_id,
        kind=fault.kind,
        target=fault.target,
        outage_ms=outage.duration_ms,
        recovered=outage.recovered,
    )


def _acknowledged(record: Record) -> int:
    return sum(1 for o in record.operations if o.kind == "place" and o.outcome is OutcomeKind.OK)


def _counts(checks: list[CheckResult]) -> dict[str, int]:
    return {name: count for check in checks for name, count in check.figures.items()}


def _from_run(record: Record, key: str) -> Any:
    return _or_none(lambda: record.run.get(key))


def _or_none(figure: Callable[[], Any]) -> Any:
    """The figure, or None when the record lacks what it needs; the verdict says so elsewhere."""
    try:
        return figure()
    except MissingPartError:
        return None
