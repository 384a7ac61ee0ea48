"""Whether the machine and the generator were fit for the run, beside the schedule they kept (reports.validity).

What is asked, each with the figure it stands on: the generator had processor time to spare; a no-op endpoint beside
the platform (the positive control) stayed fast, so that a slow answer is the platform's doing; nobody else took the
machine; its clock did not jump; enough was measured to say anything, and not of refusals; and the warm-up was over when
measuring began.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from reports.dependence import Floats
from reports.latency import SAMPLES_BEYOND, Scope, refused, response_times, select
from reports.node_metrics import MACHINE, cores_of, measured_metrics
from reports.record import MissingPartError, Record
from reports.timeline import NS_PER_MS, measured

Judged = tuple[str, list[str]]  # what is told of it, and why it is not well

GENERATORS: Final = "load:"
FULL_CORE_PERCENT: Final = 90.0
MAX_SHARE_AT_FULL_CORE: Final = 0.1
MAX_CONTROL_MS: Final = 50.0  # as late as the generator may be
MAX_CONTROL_SHARE: Final = 0.01
MIN_CONTROL_SHARE: Final = 0.5  # of its probes that must have been recorded
MAX_STEAL: Final = 0.05
MAX_OTHERS: Final = 0.3
MAX_CLOCK_STEP_MS: Final = 10.0
MIN_SAMPLES: Final = 2 * SAMPLES_BEYOND  # what a median must stand on
MAX_REFUSED_SHARE: Final = 0.5  # of the orders answered
WARM_UP_SHARE: Final = 0.2
WARM_UP_FACTOR: Final = 2.0
WARM_UP_SLACK_MS: Final = 5.0


def warm_up_rule(warm_up_s: float) -> dict[str, Any]:
    """What a record says of how its warm-up is taken away; judging goes by the same numbers."""
    return {
        "left_out_s": warm_up_s,
        "rule": "operations intended before the measured phase count for no latency, rate or error",
        "reached": "orders were acknowledged before the measured phase, and the median response time outside faults"
        f" of its first {WARM_UP_SHARE:.0%} is at most {WARM_UP_FACTOR:g} times that of the rest plus"
        f" {WARM_UP_SLACK_MS:g} ms",
    }


def generator_had_time(record: Record) -> Judged:
    """A Locust process is one thread: near a whole core it is late, whatever it says."""
    usage = measured_metrics(record, "cpu_percent")
    usage = usage[usage["node"].str.startswith(GENERATORS)]
    if not len(usage):
        raise MissingPartError("metrics holds no processor time of the load generator")
    told, reasons = [], []
    for node, rows in usage.groupby("node", sort=True):
        percent = rows["value"].to_numpy(np.float64)
        full = float((percent >= FULL_CORE_PERCENT).mean())
        told.append(f"{node} {percent.mean():.0f} % of a core, at most {percent.max():.0f} %")
        if full > MAX_SHARE_AT_FULL_CORE:
            reasons.append(
                f"the load generator {node} had no processor time to spare: {full:.0%} of the seconds at"
                f" {FULL_CORE_PERCENT:.0f} % of a core or more (allowed are {MAX_SHARE_AT_FULL_CORE:.0%})"
            )
    return "; ".join(told), reasons


def control_stayed_fast(record: Record) -> Judged:
    start_ns, end_ns = measured(record)
    probes = record.frame("control")
    probes = probes[(probes["due_ns"] >= start_ns) & (probes["due_ns"] < end_ns)]
    if len(probes) < 2:
        raise MissingPartError("the no-op endpoint was not probed in the measured phase")
    due, done = probes["due_ns"].to_numpy(np.int64), probes["done_ns"].to_numpy(np.int64)
    lasted_ms: Floats = (done - due) / NS_PER_MS
    expected = (end_ns - start_ns) / float(probes["every_ns"].iloc[0])
    slow, p99 = float((lasted_ms > MAX_CONTROL_MS).mean()), float(np.quantile(lasted_ms, 0.99, method="inverted_cdf"))
    reasons = []
    if len(probes) < MIN_CONTROL_SHARE * expected:
        reasons.append(f"the no-op endpoint was probed {len(probes):,} times of {expected:,.0f}")
    if slow > MAX_CONTROL_SHARE:
        reasons.append(
            f"even a no-op endpoint was slow: {slow:.1%} of its answers took more than {MAX_CONTROL_MS:.0f} ms"
            f" (p99 {p99:,.1f} ms; allowed are {MAX_CONTROL_SHARE:.0%}): the machine was, not the platform"
        )
    return f"{len(probes):,} probes of a no-op endpoint, p50 {np.median(lasted_ms):.1f} ms, p99 {p99:.1f} ms", reasons


def machine_was_ours(record: Record) -> Judged:
    """Processor time of the hypervisor's other guests (steal), and of processes that are not the run's."""
    cores = cores_of(record)
    busy = _by_second(measured_metrics(record, "busy_percent", MACHINE))
    steal = _by_second(measured_metrics(record, "steal_percent", MACHINE))
    load = _by_second(measured_metrics(record, "load_average", MACHINE))
    if not len(busy) or not len(steal):
        raise MissingPartError("metrics holds nothing of the whole machine")
    ours = measured_metrics(record, "cpu_percent")
    # Per node the mean over its own samples, then the sum: a node that was killed took nothing afterwards.
    seconds = len(busy)
    own = sum(float(rows["value"].sum()) / max(seconds, len(rows)) for _, rows in ours.groupby("node"))
    others = max(0.0, float(busy.mean()) - own) / (100 * cores)
    stolen = float(steal.mean()) / (100 * cores)
    reasons = []
    if stolen > MAX_STEAL:
        reasons.append(f"{stolen:.0%} of the machine's time was stolen by its host (allowed are {MAX_STEAL:.0%})")
    if others > MAX_OTHERS:
        reasons.append(
            f"other processes took {others:.0%} of the machine's {cores} cores during the measured phase"
            f" (allowed are {MAX_OTHERS:.0%})"
        )
    waiting = f", load average {load.mean():.1f}" if len(load) else ""
    return (
        f"{busy.mean() / cores:.0f} % of {cores} cores busy, {others:.0%} with others, {stolen:.1%} stolen{waiting}",
        reasons,
    )


def clock_ran_evenly(record: Record) -> Judged:
    """A clock that was set while times were taken makes each of them wrong by as much."""
    drift = measured_metrics(record, "clock_drift_ms", MACHINE)
    ms = drift.sort_values("at_ns")["value"].to_numpy(np.float64)
    if len(ms) < 2:
        raise MissingPartError("metrics holds nothing of the machine's clock")
    step = float(np.abs(np.diff(ms)).max())
    reasons = []
    if step > MAX_CLOCK_STEP_MS:
        reasons.append(f"the machine's clock jumped by {step:,.1f} ms (allowed are {MAX_CLOCK_STEP_MS:.0f} ms)")
    return f"the clock never moved by more than {step:.2f} ms in a second against the steady one", reasons


def enough_was_measured(record: Record) -> Judged:
    """Refusing is less work than accepting: a wall of refusals is no measurement of the platform."""
    orders = select(record, "place", Scope.ALL)
    count, share = len(orders), sum(map(refused, orders)) / max(1, len(orders))
    reasons = []
    if count < MIN_SAMPLES:
        reasons.append(f"{count:,} orders were answered in the measured phase: fewer than {MIN_SAMPLES} tell nothing")
    if share > MAX_REFUSED_SHARE:
        reasons.append(
            f"{share:.0%} of the orders answered in the measured phase were refused on the merits"
            f" (allowed are {MAX_REFUSED_SHARE:.0%}): little of the platform's work was measured"
        )
    return f"{count:,} orders answered in the measured phase, {share:.2%} of them refused on the merits", reasons


def warm_up_was_over(record: Record) -> Judged:
    """See ``warm_up_rule``. Too few samples on either side say nothing against it."""
    start_ns, end_ns = measured(record)
    samples = response_times(record, "place", Scope.OUTSIDE_FAULTS)
    first = samples.at_ns < start_ns + round(WARM_UP_SHARE * (end_ns - start_ns))
    if first.sum() < MIN_SAMPLES or (~first).sum() < MIN_SAMPLES:
        return "too few orders outside faults to compare the beginning with the rest", []
    begins, goes_on = float(np.median(samples.values[first])), float(np.median(samples.values[~first]))
    reasons = []
    if begins > WARM_UP_FACTOR * goes_on + WARM_UP_SLACK_MS:
        reasons.append(
            f"the warm-up was not over: half of the first orders took more than {begins:,.1f} ms, of the later ones"
            f" {goes_on:,.1f} ms (allowed are {WARM_UP_FACTOR:g} times as much and {WARM_UP_SLACK_MS:g} ms)"
        )
    return f"median at the beginning {begins:.1f} ms, later {goes_on:.1f} ms", reasons


def _by_second(samples: pd.DataFrame) -> Floats:
    values: Floats = samples["value"].to_numpy(np.float64)
    return values
