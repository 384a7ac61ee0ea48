"""Each objective measured in a record, and decided by its confidence interval.

Wholly within the bound: met. Wholly beyond it: missed. Else it cannot be told, and the result says how many more
samples would; when none are needed, because the share of samples beyond the bound tells by itself, that decides. What
was counted whole (an outage, lost orders, errors and good answers within a fault's window) has no interval in one run;
``repeats`` give it one (reports.repeats). A change is told by ``MIN_RUNS`` runs a side or more, never by fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from reports.baseline import kept_baseline, series
from reports.bounds import bound_text, rate_interval, rate_upper_bound
from reports.comparison import MIN_RUNS, change, side_of
from reports.dependence import Interval, Timed, mean_interval, percentile_interval, samples_to_decide
from reports.goodput import goodput_by_second
from reports.latency import Scope, errors_in, is_steady, samples_needed
from reports.objectives import (
    CHECKS,
    DOUBLED,
    ERRORS,
    EVERY_FAULT,
    GOODPUT,
    LATENCY,
    LOST,
    OUTAGE,
    REDUNDANCY,
    STALENESS,
    Objective,
)
from reports.outage import outages, outages_under
from reports.record import MissingPartError, Record
from reports.redundancy import shortages
from reports.results import CheckResult, CheckVerdict, ObjectiveOutcome, ObjectiveResult
from reports.timeline import NS_PER_S, Fault, measured

LOST_AND_DOUBLED_FROM: Final = "acknowledged_orders"  # the check that counts them

_UNKNOWN: Final = Interval(None, None)
_MET, _MISSED, _CANNOT_TELL = ObjectiveOutcome.MET, ObjectiveOutcome.MISSED, ObjectiveOutcome.CANNOT_TELL


def measure(record: Record, checks: list[CheckResult], objective: Objective) -> ObjectiveResult:
    """One objective against the record."""
    try:
        return MEASURES[objective.name](record, checks, objective)
    except MissingPartError as error:
        return result(objective, "", _CANNOT_TELL, str(error))


def decide(interval: Interval, objective: Objective) -> ObjectiveOutcome:
    """By where the interval lies; an end that is not known lies on neither side."""
    good, bad = (interval.low, interval.high) if objective.at_least else (interval.high, interval.low)
    sign = -1 if objective.at_least else 1
    if good is not None and sign * good <= sign * objective.bound:
        return _MET
    if bad is not None and sign * bad > sign * objective.bound:
        return _MISSED
    return _CANNOT_TELL


def result(
    objective: Objective,
    unit: str,
    outcome: ObjectiveOutcome,
    summary: str,
    measured: float | None = None,
    *,
    interval: Interval = _UNKNOWN,
    more_samples: int | None = None,
    censored: bool = False,
) -> ObjectiveResult:
    return ObjectiveResult(
        objective=objective.name,
        scope=objective.scope or "",
        bound=objective.bound,
        unit=unit,
        outcome=outcome,
        summary=summary,
        measured=measured,
        low=interval.low,
        high=interval.high,
        at_least=objective.at_least,
        title=objective.title,
        more_samples=more_samples,
        censored=censored,
    )


# -- samples ---------------------------------------------------------------------------------------


def _measure_percentile(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    """A percentile of the latency or of the feed's staleness."""
    if objective.baseline is not None:
        return measure_change([series(record, objective)], kept_baseline(record, objective), objective)
    quantile = {**LATENCY, **STALENESS}[objective.name]
    samples = series(record, objective)
    few = len(samples) < samples_needed(quantile)
    value = float(np.quantile(samples.values, quantile, method="inverted_cdf"))
    interval = percentile_interval(samples, quantile)
    outcome = decide(interval, objective)
    summary = f"{_what(objective)}: {_ms(value)} (95 % interval {_ms(interval.low)} to {_ms(interval.high)})"
    if outcome is not _CANNOT_TELL:
        return result(objective, "ms", outcome, summary, value, interval=interval, censored=few)
    more = samples_to_decide(samples, quantile, objective.bound)
    if more == 0:
        share = float((samples.values > objective.bound).mean())
        outcome = _MET if value <= objective.bound else _MISSED
        summary += f": {share:.2%} were beyond {_ms(objective.bound)}"
        return result(objective, "ms", outcome, summary, value, interval=interval, censored=few)
    summary += f": {len(samples):,} samples do not tell, {_more(more, 'samples', record, len(samples))}"
    return result(objective, "ms", outcome, summary, value, interval=interval, more_samples=more, censored=few)


def _measure_goodput(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    if objective.baseline is not None:
        return measure_change([series(record, objective)], kept_baseline(record, objective), objective)
    scope = Scope(objective.scope or Scope.ALL)
    counts = goodput_by_second(record, scope)
    value = float(counts.mean())
    interval = mean_interval(counts) if is_steady(record, scope) else Interval(value, value)
    outcome = decide(interval, objective)
    summary = (
        f"{value:,.1f} good answers a second (95 % interval {_number(interval.low)} to {_number(interval.high)},"
        f" {len(counts)} seconds)"
    )
    more = None
    if outcome is _CANNOT_TELL:
        more = _seconds_to_decide(len(counts), interval, value - objective.bound)
        summary += f": does not tell, {_more(more, 'seconds')}"
    return result(objective, "/s", outcome, summary, value, interval=interval, more_samples=more)


def measure_change(ours: Sequence[Timed], theirs: Sequence[Timed], objective: Objective) -> ObjectiveResult:
    """Runs of one side against those of the other; a percentile must have samples enough in each run of ours."""
    quantile = {**LATENCY, **STALENESS}.get(objective.name)
    fewest = min(len(run) for run in ours)
    if quantile is not None and fewest < samples_needed(quantile):
        lacking = samples_needed(quantile) - fewest
        summary = f"{fewest:,} samples are too few for {_what(objective)}, {_more(lacking, 'samples')}"
        return result(objective, "%", _CANNOT_TELL, summary, more_samples=lacking)
    found = change(side_of(ours, quantile), side_of(theirs, quantile))
    interval = Interval(found.low, found.high)
    outcome = decide(interval, objective)
    summary = (
        f"{_what(objective)}: {found.percent:+.1f} % against {objective.baseline} (95 % interval"
        f" {_change(found.low)} to {_change(found.high)}; {_runs(ours)} against {_runs(theirs)})"
    )
    more = None
    if min(len(ours), len(theirs)) < MIN_RUNS:
        outcome = _CANNOT_TELL  # either may be the run's, not the change's
        summary += f": does not tell, what differs from run to run is not in it: that takes {MIN_RUNS} runs a side"
    elif outcome is _CANNOT_TELL and found.low is not None and found.high is not None:
        half, away = (found.high - found.low) / 2, abs(found.percent - objective.bound)
        more = None if not away else max(1, round(sum(map(len, ours)) * ((half / away) ** 2 - 1)))
        summary += f": does not tell, {_more(more, 'samples on both sides')}"
    return result(objective, "%", outcome, summary, found.percent, interval=interval, more_samples=more)


def _measure_errors(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    """Within the windows of faults every order was counted; outside them the orders are a sample."""
    found = errors_in(record, Scope(objective.scope or Scope.ALL))
    if not found.sent:
        return result(objective, "", _CANNOT_TELL, "no order was sent in the measured phase")
    low, high = rate_interval(found.outside, found.sent_outside) if found.sent_outside else (0.0, 0.0)
    interval = Interval(
        *((found.inside + rate * found.sent_outside) / found.sent for rate in (low, high)),
    )
    ratio, outcome = found.errors / found.sent, decide(interval, objective)
    summary = (
        f"{found.errors:,} of {found.sent:,} orders got no good answer"
        f" ({found.inside:,} of them near a fault; 95 % interval {interval.low:.3%} to {interval.high:.3%})"
    )
    more = None
    if outcome is _CANNOT_TELL:
        more = _orders_to_decide(found.outside, found.sent_outside, objective.bound)
        summary += f": does not tell, {_more(more, 'orders', record, found.sent)}"
    return result(objective, "", outcome, summary, ratio, interval=interval, more_samples=more)


# -- counted whole ---------------------------------------------------------------------------------


def _measure_outage(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    bar = objective.success_bar
    every = outages(record) if bar is None else outages_under(record, bar)
    found = [outage for outage in every if objective.scope in (None, EVERY_FAULT, *_names(outage.fault))]
    if not found:
        return result(objective, "ms", _CANNOT_TELL, "no such fault was injected")
    worst = max(found, key=lambda outage: outage.duration_ms)
    under = "" if bar is None else f" under {bar:g} of the orders"
    summary = f"longest outage{under} {worst.duration_ms:,.0f} ms, at {worst.fault.label}"
    if not worst.recovered:
        summary += ", and orders did not succeed again while they were offered"
    met, ended = worst.duration_ms <= objective.bound, all(outage.recovered for outage in found)
    outcome = _CANNOT_TELL if met and not ended else _met(met)
    return result(objective, "ms", outcome, summary, worst.duration_ms, censored=not ended)


def _measure_redundancy(record: Record, _: list[CheckResult], objective: Objective) -> ObjectiveResult:
    found = [each for each in shortages(record) if objective.scope in (None, EVERY_FAULT, *_names(each.fault))]
    if not found:
        return result(objective, "s", _CANNOT_TELL, "no such fault was injected")
    worst = max(found, key=lambda shortage: (not shortage.restored, shortage.seconds))
    if worst.restored:
        summary = f"every copy of the database counted again {worst.seconds:,.1f} s after {worst.fault.label} began"
    else:
        summary = (
            f"not every copy of the database counted again in the {worst.seconds:,.1f} s after {worst.fault.label}"
        )
    met = worst.restored and worst.seconds <= objective.bound
    return result(objective, "s", _met(met), summary, worst.seconds, censored=not worst.restored)


def _measure_count(record: Record, checks: list[CheckResult], objective: Objective) -> ObjectiveResult:
    figure = objective.name.removesuffix("_orders")
    check = next((check for check in checks if check.name == LOST_AND_DOUBLED_FROM), None)
    if check is None or figure not in check.figures:
        why = check.summary if check else f"the check {LOST_AND_DOUBLED_FROM} did not run"
        return result(objective, "orders", _CANNOT_TELL, why)
    count, trials = check.figures[figure], check.figures["acknowledged"]
    high = trials * rate_upper_bound(count, trials)
    summary = bound_text(count, trials, figure)
    return result(objective, "orders", _met(count <= objective.bound), summary, count, interval=Interval(None, high))


def _measure_checks(_: Record, checks: list[CheckResult], objective: Objective) -> ObjectiveResult:
    violated = [check.title for check in checks if check.verdict is CheckVerdict.VIOLATED]
    if not checks:
        return result(objective, "checks", _CANNOT_TELL, "no check ran")
    summary = f"{len(violated)} of {len(checks)} checks violated"
    untold = any(check.verdict is CheckVerdict.CANNOT_TELL for check in checks)
    outcome = _met(len(violated) <= objective.bound)
    if untold and outcome is _MET:
        outcome = _CANNOT_TELL
    return result(objective, "checks", outcome, summary, len(violated))


Measure = Callable[[Record, list[CheckResult], Objective], ObjectiveResult]

MEASURES: Final[dict[str, Measure]] = {
    OUTAGE: _measure_outage,
    REDUNDANCY: _measure_redundancy,
    **dict.fromkeys((*LATENCY, *STALENESS), _measure_percentile),
    GOODPUT: _measure_goodput,
    ERRORS: _measure_errors,
    LOST: _measure_count,
    DOUBLED: _measure_count,
    CHECKS: _measure_checks,
}


# -- how many more ---------------------------------------------------------------------------------


def _orders_to_decide(errors: int, sent: int, bound: float) -> int | None:
    """Tries ever more orders at the same rate of errors; None when that rate is the bound, or as good as."""
    rate = errors / sent if sent else 0.0
    for doubling in range(1, 20):
        more = max(1, sent) << doubling
        low, high = rate_interval(round(rate * more), more)
        if high <= bound or low > bound:
            return more - sent
    return None


def _seconds_to_decide(count: int, interval: Interval, away: float) -> int | None:
    if interval.low is None or interval.high is None or not away:
        return None
    half = (interval.high - interval.low) / 2
    return max(1, round(count * ((half / away) ** 2 - 1)))


def _more(count: int | None, noun: str, record: Record | None = None, had: int = 0) -> str:
    if count is None:
        return "and no number of them will: it is the bound"
    lasted_s = _measured_s(record) if record is not None and had else None
    about = "" if lasted_s is None else f", {lasted_s * count / had:,.0f} s at this rate,"
    return f"about {count:,} more {noun}{about} would"


def _measured_s(record: Record) -> float:
    start_ns, end_ns = measured(record)
    return (end_ns - start_ns) / NS_PER_S


def _what(objective: Objective) -> str:
    if objective.name == GOODPUT:
        return "good answers a second"
    name = objective.name.removeprefix("latency_").removeprefix("feed_staleness_").removesuffix("_ms")
    if objective.name in STALENESS:
        return f"{name} of the feed's staleness{f', {_words(objective.scope)}' if objective.scope else ''}"
    kind = "order" if objective.operation == "place" else objective.operation
    return f"{name} of {kind} response time, {_words(objective.scope or Scope.OUTSIDE_FAULTS)}"


def _words(scope: str) -> str:
    return scope.replace("_", " ")


def _met(condition: bool) -> ObjectiveOutcome:
    return _MET if condition else _MISSED


def _runs(side: Sequence[Timed]) -> str:
    return "1 run" if len(side) == 1 else f"{len(side)} runs"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f} ms"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f}"


def _change(value: float | None) -> str:
    return "?" if value is None else f"{value:+.1f} %"


def _names(fault: Fault) -> tuple[str, str, str]:
    return fault.fault_id, fault.kind, fault.target
