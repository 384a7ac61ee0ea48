"""How long clients waited: exact percentiles of every sample, inside and outside the windows of the faults.

Response time runs from the *intended* start of an operation, service time from when it was sent. Counted are the
load's operations of the measured phase that were answered or given up on; one never answered counts as long as the
record lasts, and so does one never sent because too many before it had no answer. Early refusals (429, 5xx, no
connection) and refusals of what was valid (400, 401, ...) are no answers to wait for: they count in the error ratio.

Two rules. A percentile is shown when at least ten samples lie beyond it (SAMPLES_BEYOND): p99 needs 1,000, p99.99
100,000. And its interval knows that neighbouring samples are alike (reports.dependence).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from reports.dependence import Timed, percentile_interval, timed
from reports.outage import SETTLE_NS, windows
from reports.record import Record
from reports.records import GENERATOR_FULL, OutcomeKind
from reports.rows import Operation
from reports.timeline import NS_PER_MS, measured, phases

Samples = npt.NDArray[np.float64]  # milliseconds, sorted

# Fewer samples than ten beyond a percentile say little about it.
SAMPLES_BEYOND: Final = 10


# How the platform refuses on the merits, by kind of operation: an account's means and limits, a market without the
# other side, an order that has ended or that nobody knows. Any other 4xx means that a valid request was not served.
_ON_THE_MERITS: Final[Mapping[str, frozenset[int]]] = {
    "place": frozenset({403, 422}),
    "replace": frozenset({403, 404, 422}),
    "cancel": frozenset({404, 422}),
    "lookup": frozenset({404}),
    "positions": frozenset({404}),
}


class Scope(StrEnum):
    OUTSIDE_FAULTS = "outside_faults"
    INSIDE_FAULTS = "inside_faults"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile in milliseconds; ``low`` to ``high`` encloses the true one at 95 % (None: too few samples)."""

    quantile: float
    value: float
    low: float | None
    high: float | None
    enough: bool  # at least SAMPLES_BEYOND samples lie beyond it


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """``percentiles`` by name (p50 to p99.99); one with too few samples to mean anything is left out.

    ``where`` is what the row is of beside its scope: "" for all of the measured phase, a node, or a phase.
    """

    kind: str
    scope: Scope
    measure: str  # response | service
    count: int
    percentiles: dict[str, Percentile]
    max_ms: float
    where: str = ""


QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}


def samples_needed(quantile: float) -> int:
    """How many samples a percentile must stand on to be shown."""
    return round(SAMPLES_BEYOND / (1 - quantile))


def percentile(samples: Timed, quantile: float) -> Percentile:
    """``samples`` not empty. The value is a sample: the smallest that ``quantile`` of them do not exceed."""
    interval = percentile_interval(samples, quantile)
    return Percentile(
        quantile=quantile,
        value=float(np.quantile(samples.values, quantile, method="inverted_cdf")),
        low=interval.low,
        high=interval.high,
        enough=len(samples) >= samples_needed(quantile),
    )


def measured_operations(record: Record) -> list[Operation]:
    """The load's operations intended within the measured phase."""
    start_ns, end_ns = measured(record)
    return [o for o in record.operations if o.source == "load" and start_ns <= o.intended_ns < end_ns]


def errored(operation: Operation) -> bool:
    """Whether the platform gave no good answer; a refusal on the merits is one."""
    return operation.outcome is not OutcomeKind.OK and not refused(operation)


def refused(operation: Operation) -> bool:
    """Whether it was refused on the merits."""
    on_the_merits = operation.http_status in _ON_THE_MERITS.get(operation.kind, ())
    return operation.outcome is OutcomeKind.FAIL and on_the_merits


def select(record: Record, kind: str, scope: Scope) -> list[Operation]:
    """Operations whose time a client felt, by kind and by whether their life touched a fault's window."""
    spans = windows(record)
    chosen = []
    for operation in measured_operations(record):
        if operation.kind != kind or not _waited(operation):
            continue
        # No answer is a fault's doing only where the fault was near: else it would hide in the windows.
        over_ns = operation.done_ns or operation.intended_ns + SETTLE_NS
        inside = any(operation.intended_ns <= end and over_ns >= start for start, end in spans)
        if scope is Scope.ALL or inside == (scope is Scope.INSIDE_FAULTS):
            chosen.append(operation)
    return chosen


def _waited(operation: Operation) -> bool:
    """Whether a client did: for a good answer, for one that never came, or for its turn behind others without one."""
    if operation.sent_ns is None:
        return operation.answer == GENERATOR_FULL
    return operation.outcome is OutcomeKind.UNKNOWN or not errored(operation)


def is_steady(record: Record, scope: Scope) -> bool:
    """Whether what a scope holds is a sample of something that goes on: nothing of a fault is in it."""
    return scope is Scope.OUTSIDE_FAULTS or not windows(record)


def response_times(record: Record, kind: str = "place", scope: Scope = Scope.ALL) -> Timed:
    """Response times in milliseconds, in order of the intended starts."""
    return _timed(record, select(record, kind, scope), _response_from, steady=is_steady(record, scope))


def response_ms(record: Record, kind: str = "place", scope: Scope = Scope.ALL) -> Samples:
    """Sorted response times in milliseconds."""
    return np.sort(response_times(record, kind, scope).values)


def latency_table(record: Record) -> list[LatencyRow]:
    """A row per kind of operation, scope and measure that has samples."""
    rows = []
    for kind in kinds(measured_operations(record)):
        for scope in (Scope.OUTSIDE_FAULTS, Scope.INSIDE_FAULTS):
            chosen = select(record, kind, scope)
            for measure, starts in (("response", _response_from), ("service", _service_from)):
                samples = _timed(record, chosen, starts, steady=is_steady(record, scope))
                if len(samples):
                    rows.append(summarize(samples, kind=kind, scope=scope, measure=measure))
    return rows


def latency_by_node(record: Record) -> list[LatencyRow]:
    """Response times by the node that was asked, outside the windows of faults."""
    names = {
        str(address): str(node)
        for event in record.events
        if event.event == "load_links"
        for address, node in (event.details.get("nodes") or {}).items()
    }
    rows = []
    for kind in kinds(measured_operations(record)):
        chosen = select(record, kind, Scope.OUTSIDE_FAULTS)
        for endpoint in sorted({operation.endpoint for operation in chosen if operation.endpoint}):
            samples = _timed(record, [o for o in chosen if o.endpoint == endpoint], _response_from)
            where = names.get(endpoint, endpoint)
            rows.append(summarize(samples, kind=kind, scope=Scope.OUTSIDE_FAULTS, measure="response", where=where))
    return rows


def latency_by_phase(record: Record) -> list[LatencyRow]:
    """Response times of answered operations by the phase that their intended start fell into, faults included."""
    rows = []
    load = [o for o in record.operations if o.source == "load" and o.done_ns is not None and not errored(o)]
    for span in phases(record.events):
        until_ns = span.end_ns or record.events[-1].at_ns
        within = [o for o in load if span.start_ns <= o.intended_ns < until_ns]
        for kind in kinds(within):
            samples = _timed(record, [o for o in within if o.kind == kind], _response_from, steady=False)
            rows.append(summarize(samples, kind=kind, scope=Scope.ALL, measure="response", where=span.name))
    return rows


def summarize(samples: Timed, *, kind: str, scope: Scope, measure: str, where: str = "") -> LatencyRow:
    """``samples`` not empty."""
    enough = {name: quantile for name, quantile in QUANTILES.items() if len(samples) >= samples_needed(quantile)}
    shown = {name: percentile(samples, quantile) for name, quantile in enough.items()}
    return LatencyRow(kind, scope, measure, len(samples), shown, float(samples.values.max()), where)


@dataclass(frozen=True, slots=True)
class Errors:
    """Orders of the measured phase that were sent and got no good answer, inside the windows of faults and outside."""

    outside: int
    sent_outside: int
    inside: int
    sent_inside: int

    @property
    def errors(self) -> int:
        return self.outside + self.inside

    @property
    def sent(self) -> int:
        return self.sent_outside + self.sent_inside


def errors_in(record: Record, scope: Scope = Scope.ALL) -> Errors:
    spans = windows(record)
    counted = {(bad, inside): 0 for bad in (False, True) for inside in (False, True)}
    for order in measured_operations(record):
        if order.kind == "place" and order.sent_ns is not None:
            inside = any(start <= order.intended_ns <= end for start, end in spans)
            counted[errored(order), inside] += 1
    outside = scope is not Scope.INSIDE_FAULTS
    within = scope is not Scope.OUTSIDE_FAULTS
    return Errors(
        outside=counted[True, False] * outside,
        sent_outside=(counted[True, False] + counted[False, False]) * outside,
        inside=counted[True, True] * within,
        sent_inside=(counted[True, True] + counted[False, True]) * within,
    )


def _last_moment(record: Record) -> int:
    return max((o.done_ns or o.intended_ns for o in record.operations), default=0)


def _timed(
    record: Record, operations: list[Operation], start_ns: Callable[[Operation], int], *, steady: bool = True
) -> Timed:
    last_ns = _last_moment(record)
    lasted = [((o.done_ns or last_ns) - start_ns(o)) / NS_PER_MS for o in operations]
    return timed([o.intended_ns for o in operations], lasted, steady=steady)


def _response_from(operation: Operation) -> int:
    return operation.intended_ns


def _service_from(operation: Operation) -> int:
    return operation.intended_ns if operation.sent_ns is None else operation.sent_ns


def kinds(operations: Iterable[Operation]) -> list[str]:
    return sorted({operation.kind for operation in operations}, key=_kind_order)


def _kind_order(kind: str) -> tuple[int, str]:
    order = ("place", "replace", "cancel", "read", "lookup")
    return (order.index(kind) if kind in order else len(order)), kind
