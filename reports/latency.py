"""How long clients waited: exact percentiles of every sample, inside and outside the windows of the faults.

Response time runs from the *intended* start of an operation, service time from when it was sent. Counted are the
load's operations of the measured phase that were answered or given up on; one never answered counts as long as the
record lasts. Early refusals (429, 5xx, no connection) are no answers to wait for: they count in the error ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from reports.bounds import percentile_ranks
from reports.outage import SETTLE_NS, windows
from reports.record import Record
from reports.records import OutcomeKind
from reports.rows import Operation
from reports.timeline import NS_PER_MS, measured

Samples = npt.NDArray[np.float64]  # milliseconds, sorted

# Fewer samples than ten beyond a percentile say little about it.
SAMPLES_BEYOND: Final = 10


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
    """``percentiles`` by name (p50, p90, p99, p99.9); one with too few samples to mean anything is left out."""

    kind: str
    scope: Scope
    measure: str  # response | service
    count: int
    percentiles: dict[str, Percentile]
    max_ms: float


QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def percentile(samples: Samples, quantile: float) -> Percentile:
    """``samples`` sorted and not empty. The value is a sample: the smallest that ``quantile`` of them do not exceed."""
    count = len(samples)
    low, high = percentile_ranks(count, quantile)
    return Percentile(
        quantile=quantile,
        value=float(np.quantile(samples, quantile, method="inverted_cdf")),
        low=None if low is None else float(samples[low]),
        high=None if high is None else float(samples[high]),
        enough=count * (1 - quantile) >= SAMPLES_BEYOND - 1e-9,
    )


def measured_operations(record: Record) -> list[Operation]:
    """The load's operations intended within the measured phase."""
    start_ns, end_ns = measured(record)
    return [o for o in record.operations if o.source == "load" and start_ns <= o.intended_ns < end_ns]


def errored(operation: Operation) -> bool:
    """Whether the platform failed to answer: not a refusal on the merits (4xx), which is a good answer."""
    status = operation.http_status
    if operation.outcome is OutcomeKind.OK:
        return False
    return operation.outcome is OutcomeKind.UNKNOWN or status is None or status == 429 or status >= 500


def select(record: Record, kind: str, scope: Scope) -> list[Operation]:
    """Operations whose time a client felt, by kind and by whether their life touched a fault's window."""
    spans = windows(record)
    chosen = []
    for operation in measured_operations(record):
        if operation.kind != kind or operation.sent_ns is None:
            continue
        if errored(operation) and operation.outcome is not OutcomeKind.UNKNOWN:
            continue
        # No answer is a fault's doing only where the fault was near: else it would hide in the windows.
        over_ns = operation.done_ns or operation.intended_ns + SETTLE_NS
        inside = any(operation.intended_ns <= end and over_ns >= start for start, end in spans)
        if scope is Scope.ALL or inside == (scope is Scope.INSIDE_FAULTS):
            chosen.append(operation)
    return chosen


def response_ms(record: Record, kind: str = "place", scope: Scope = Scope.ALL) -> Samples:
    """Sorted response times in milliseconds."""
    end_ns = _last_moment(record)
    return _milliseconds([(o.done_ns or end_ns) - o.intended_ns for o in select(record, kind, scope)])


def service_ms(record: Record, kind: str = "place", scope: Scope = Scope.ALL) -> Samples:
    """Sorted service times in milliseconds."""
    end_ns = _last_moment(record)
    chosen = select(record, kind, scope)
    return _milliseconds([(o.done_ns or end_ns) - o.sent_ns for o in chosen if o.sent_ns is not None])


def latency_table(record: Record) -> list[LatencyRow]:
    """A row per kind of operation, scope and measure that has samples."""
    kinds = sorted({operation.kind for operation in measured_operations(record)}, key=_kind_order)
    rows = []
    for kind in kinds:
        for scope in (Scope.OUTSIDE_FAULTS, Scope.INSIDE_FAULTS):
            for measure, samples_of in (("response", response_ms), ("service", service_ms)):
                samples = samples_of(record, kind, scope)
                if len(samples):
                    rows.append(summarize(samples, kind=kind, scope=scope, measure=measure))
    return rows


def summarize(samples: Samples, *, kind: str, scope: Scope, measure: str) -> LatencyRow:
    found = {name: percentile(samples, quantile) for name, quantile in QUANTILES.items()}
    shown = {name: value for name, value in found.items() if name != "p99.9" or value.enough}
    return LatencyRow(kind, scope, measure, len(samples), shown, float(samples[-1]))


def error_ratio(record: Record, scope: Scope = Scope.ALL) -> tuple[int, int]:
    """Orders of the measured phase that were sent and got no good answer, and all that were sent."""
    spans = windows(record)
    sent = [o for o in measured_operations(record) if o.kind == "place" and o.sent_ns is not None]
    if scope is not Scope.ALL:
        wanted = scope is Scope.INSIDE_FAULTS
        sent = [o for o in sent if any(s <= o.intended_ns <= e for s, e in spans) == wanted]
    return sum(map(errored, sent)), len(sent)


def _last_moment(record: Record) -> int:
    return max((o.done_ns or o.intended_ns for o in record.operations), default=0)


def _milliseconds(durations_ns: list[int]) -> Samples:
    return np.sort(np.array(durations_ns, dtype=np.float64) / NS_PER_MS)


def _kind_order(kind: str) -> tuple[int, str]:
    order = ("place", "replace", "cancel", "read", "lookup")
    return (order.index(kind) if kind in order else len(order)), kind
