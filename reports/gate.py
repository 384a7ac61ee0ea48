"""From a record to a verdict: INVALID before FAIL before INCONCLUSIVE before PASS.

An objective is {"objective": name, "max": number, "scope": text} (``OBJECTIVES`` lists the names). Scopes: of latencies
and error ratios a ``latency.Scope`` (latencies default to outside_faults, errors to all); of outages and of the
database's redundancy ``all`` or the id, kind or target of a fault; counts and checks take none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from reports.bounds import bound_text, rate_upper_bound
from reports.latency import QUANTILES, Percentile, Scope, error_ratio, percentile, response_ms
from reports.outage import Outage, outages
from reports.record import MissingPartError, Record
from reports.records import OutcomeKind
from reports.redundancy import shortages
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
from reports.timeline import Fault
from reports.validity import judge_validity, schedule_kept

OUTAGE: Final = "outage_ms"
REDUNDANCY: Final = "redundancy_s"
OF_A_FAULT: Final = (OUTAGE, REDUNDANCY)
EVERY_FAULT: Final = "all"
LOST_AND_DOUBLED_FROM: Final = "acknowledged_orders"  # the check that counts them


@dataclass(frozen=True, slots=True)
class Objective:
    name: str
    bound: float
    scope: str | None


class ObjectiveError(ValueError):
    """An objective nobody can judge: an unknown name, scope or bound."""


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
    gone = _never_recovered(record)
    kind = VerdictKind.FAIL if gone else _verdict_kind(invalid, failed, untold)
    return Verdict(
        verdict=kind,
        exit_code=EXIT_CODES[kind],
        reasons=[*gone, *invalid, *failed, *untold],
        figures=figures_of(record, checks),
        objectives=objectives,
        invalid=invalid,
        scenario=_from_run(record, "scenario") or "",
        seed=_from_run(record, "seed"),
    )


def objectives_of(record: Record) -> list[Objective]:
    """The scenario's objectives as run.json keeps them. Raises ObjectiveError."""
    return [parse_objective(entry) for entry in record.run.get("objectives", [])]


def parse_objective(entry: dict[str, Any]) -> Objective:
    """Raises ObjectiveError when the name, the bound or the scope means nothing; a scenario's model may ask, too."""
    name, bound, scope = entry.get("objective"), entry.get("max"), entry.get("scope")
    if name not in OBJECTIVES:
        raise ObjectiveError(f"unknown objective {name!r}; there are {', '.join(OBJECTIVES)}")
    if isinstance(bound, bool) or not isinstance(bound, int | float) or bound < 0:
        raise ObjectiveError(f"objective {name}: max must be a number of at least 0, got {bound!r}")
    _refuse_scope(name, scope)
    return Objective(name, bound, scope)


def _refuse_scope(name: str, scope: Any) -> None:
    """Whether a scope names a fault is not asked here: the scenario knows which are planned."""
    if scope is None or name in OF_A_FAULT:
        return
    if not name.startswith(("latency", "error")):
        raise ObjectiveError(f"objective {name}: takes no scope, it is about the whole run; got {scope!r}")
    if scope not in list(Scope):
        raise ObjectiveError(f"objective {name}: unknown scope {scope!r}; there are {', '.join(Scope)}")


def measure(record: Record, checks: list[CheckResult], objective: Objective) -> ObjectiveResult:
    """One objective against the record."""
    try:
        return OBJECTIVES[objective.name](record, checks, objective)
    except MissingPartError as error:
        return _result(objective, "", ObjectiveOutcome.CANNOT_TELL, str(error))


def figures_of(record: Record, checks: list[CheckResult]) -> Figures:
    """The numbers that matter, as far as the record has them."""
    counts = _counts(checks)
    return Figures(
        orders_acknowledged=_or_none(lambda: _acknowledged(record)),
        rate_offered_per_s=_or_none(lambda: schedule_kept(record).rate_offered_per_s),
        rate_achieved_per_s=_or_none(lambda: schedule_kept(record).rate_achieved_per_s),
        latency_p50_ms=_or_none(lambda: _latency(record, "p50", Scope.OUTSIDE_FAULTS).value),
        latency_p99_ms=_or_none(lambda: _latency(record, "p99", Scope.OUTSIDE_FAULTS).value),
        lost_orders=counts.get("lost"),
        doubled_orders=counts.get("doubled"),
        unknown_orders=counts.get("unknown"),
        outages=_or_none(lambda: [_outage_figure(outage) for outage in outages(record)]) or [],
    )


# -- objectives ------------------------------------------------------------------------------------


def _measure_outage(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    found = [outage for outage in outages(record) if objective.scope in (None, EVERY_FAULT, *_names(outage.fault))]
    if not found:
        return _result(objective, "ms", ObjectiveOutcome.CANNOT_TELL, "no such fault was injected")
    worst = max(found, key=lambda outage: outage.duration_ms)
    summary = f"longest outage {worst.duration_ms:,.0f} ms, at {worst.fault.label}"
    if not worst.recovered:
        summary += ", and orders did not succeed again while they were offered"
    met = worst.duration_ms <= objective.bound
    if met and not all(outage.recovered for outage in found):
        return _result(objective, "ms", ObjectiveOutcome.CANNOT_TELL, summary, worst.duration_ms)
    return _result(objective, "ms", _met(met), summary, worst.duration_ms)


def _measure_redundancy(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    found = [each for each in shortages(record) if objective.scope in (None, EVERY_FAULT, *_names(each.fault))]
    if not found:
        return _result(objective, "s", ObjectiveOutcome.CANNOT_TELL, "no such fault was injected")
    worst = max(found, key=lambda shortage: (not shortage.restored, shortage.seconds))
    if worst.restored:
        summary = f"every copy of the database counted again {worst.seconds:,.1f} s after {worst.fault.label} began"
    else:
        summary = (
            f"not every copy of the database counted again in the {worst.seconds:,.1f} s after {worst.fault.label}"
        )
    return _result(objective, "s", _met(worst.restored and worst.seconds <= objective.bound), summary, worst.seconds)


def _measure_latency(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    name = objective.name.removeprefix("latency_").removesuffix("_ms")
    scope = Scope(objective.scope or Scope.OUTSIDE_FAULTS)
    found = _latency(record, name, scope)
    interval = f"95 % interval {_ms(found.low)} to {_ms(found.high)}"
    summary = f"{name} of order response time, {scope.replace('_', ' ')}: {_ms(found.value)} ({interval})"
    outcome = _met(found.value <= objective.bound)
    if not found.enough and _straddles(found, objective.bound):
        outcome = ObjectiveOutcome.CANNOT_TELL
        summary += ": too few samples to tell"
    return _result(objective, "ms", outcome, summary, found.value, interval=(found.low, found.high))


def _measure_count(record: Record, checks: list[CheckResult], objective: Objective) -> ObjectiveResult:
    figure = objective.name.removesuffix("_orders")
    check = next((check for check in checks if check.name == LOST_AND_DOUBLED_FROM), None)
    if check is None or figure not in check.figures:
        why = check.summary if check else f"the check {LOST_AND_DOUBLED_FROM} did not run"
        return _result(objective, "orders", ObjectiveOutcome.CANNOT_TELL, why)
    count, trials = check.figures[figure], check.figures["acknowledged"]
    high = trials * rate_upper_bound(count, trials)
    summary = bound_text(count, trials, figure)
    return _result(objective, "orders", _met(count <= objective.bound), summary, count, interval=(None, high))


def _measure_errors(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    errors, sent = error_ratio(record, Scope(objective.scope or Scope.ALL))
    if not sent:
        return _result(objective, "", ObjectiveOutcome.CANNOT_TELL, "no order was sent in the measured phase")
    summary = f"{errors:,} of {sent:,} orders got no good answer"
    return _result(objective, "", _met(errors / sent <= objective.bound), summary, errors / sent)


def _measure_checks(_: Record, checks: list[CheckResult], objective: Objective) -> ObjectiveResult:
    violated = [check.title for check in checks if check.verdict is CheckVerdict.VIOLATED]
    if not checks:
        return _result(objective, "checks", ObjectiveOutcome.CANNOT_TELL, "no check ran")
    summary = f"{len(violated)} of {len(checks)} checks violated"
    untold = any(check.verdict is CheckVerdict.CANNOT_TELL for check in checks)
    outcome = _met(len(violated) <= objective.bound)
    if untold and outcome is ObjectiveOutcome.MET:
        outcome = ObjectiveOutcome.CANNOT_TELL
    return _result(objective, "checks", outcome, summary, len(violated))


Measure = Callable[[Record, list[CheckResult], Objective], ObjectiveResult]

OBJECTIVES: Final[dict[str, Measure]] = {
    OUTAGE: _measure_outage,
    REDUNDANCY: _measure_redundancy,
    "latency_p50_ms": _measure_latency,
    "latency_p90_ms": _measure_latency,
    "latency_p99_ms": _measure_latency,
    "latency_p99.9_ms": _measure_latency,
    "lost_orders": _measure_count,
    "doubled_orders": _measure_count,
    "error_ratio": _measure_errors,
    "checks": _measure_checks,
}


# -- judging ---------------------------------------------------------------------------------------


def _never_recovered(record: Record) -> list[str]:
    """The platform did not come back once it was healed: what is then missing in the record is its doing."""
    events = _or_none(lambda: record.events) or []
    return [f"the platform never recovered: {event.text('why')}" for event in events if event.event == "not_recovered"]


def _verdict_kind(invalid: list[str], failed: list[str], untold: list[str]) -> VerdictKind:
    if invalid:
        return VerdictKind.INVALID
    if failed:
        return VerdictKind.FAIL
    return VerdictKind.INCONCLUSIVE if untold else VerdictKind.PASS


def _failures(checks: list[CheckResult], objectives: list[ObjectiveResult]) -> list[str]:
    violated = [f"{check.title}: {check.summary}" for check in checks if check.verdict is CheckVerdict.VIOLATED]
    missed = [o for o in objectives if o.outcome is ObjectiveOutcome.MISSED]
    return [*violated, *(f"{o.objective} over {o.bound:g}: {o.summary}" for o in missed)]


def _untold(checks: list[CheckResult], objectives: list[ObjectiveResult]) -> list[str]:
    silent = [f"{check.title}: {check.summary}" for check in checks if check.verdict is CheckVerdict.CANNOT_TELL]
    return [
        *([] if checks else ["no check ran"]),
        *silent,
        *(f"{o.objective}: {o.summary}" for o in objectives if o.outcome is ObjectiveOutcome.CANNOT_TELL),
    ]


def _result(
    objective: Objective,
    unit: str,
    outcome: ObjectiveOutcome,
    summary: str,
    measured: float | None = None,
    *,
    interval: tuple[float | None, float | None] = (None, None),
) -> ObjectiveResult:
    return ObjectiveResult(
        objective=objective.name,
        scope=objective.scope or "",
        bound=objective.bound,
        unit=unit,
        outcome=outcome,
        summary=summary,
        measured=measured,
        low=interval[0],
        high=interval[1],
    )


def _latency(record: Record, name: str, scope: Scope) -> Percentile:
    samples = response_ms(record, "place", scope)
    if not len(samples):
        raise MissingPartError(f"no order was answered {scope.replace('_', ' ')} in the measured phase")
    return percentile(samples, QUANTILES[name])


def _straddles(found: Percentile, bound: float) -> bool:
    return found.low is None or found.high is None or found.low <= bound < found.high


def _met(condition: bool) -> ObjectiveOutcome:
    return ObjectiveOutcome.MET if condition else ObjectiveOutcome.MISSED


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f} ms"


def _names(fault: Fault) -> tuple[str, str, str]:
    return fault.fault_id, fault.kind, fault.target


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
