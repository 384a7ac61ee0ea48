"""How long orders were not acknowledged: per fault, the longest span without a success, from the record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from reports.record import Record
from reports.records import OutcomeKind
from reports.timeline import NS_PER_MS, NS_PER_S, Fault, faults

# How long after its undoing (or after the first success that follows a permanent one) a fault's window lasts.
SETTLE_S: Final = 2.0
SETTLE_NS: Final = round(SETTLE_S * NS_PER_S)

_ORDERS_PER_WINDOW: Final = 20  # fewer would cross most bars by chance
_SHORTEST_WINDOW_NS: Final = 50_000_000
_STEPS: Final = 8  # of a window when it is moved along

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outage:
    """The longest span without an acknowledged order that touches a fault's window.

    ``last_before_ns`` and ``first_after_ns`` are the acknowledgements around it; without a first after,
    orders were still offered and none succeeded again: the span is then a lower bound.
    """

    fault: Fault
    last_before_ns: int
    first_after_ns: int | None
    duration_ms: float
    window_start_ns: int
    window_end_ns: int

    @property
    def recovered(self) -> bool:
        return self.first_after_ns is not None


@lru_cache(maxsize=4)
def outages(record: Record) -> tuple[Outage, ...]:
    """One per fault that was injected, in order of injection."""
    successes, horizon_ns = acknowledgement_times(record), _last_intended_ns(record)
    injected = [fault for fault in faults(record.events) if fault.injected_ns is not None]
    found = [outage_of(fault, successes, horizon_ns=horizon_ns) for fault in injected]
    return tuple(sorted(found, key=lambda outage: outage.window_start_ns))


def windows(record: Record) -> list[tuple[int, int]]:
    """The spans in which a fault was at work or its consequences were settling."""
    return [(outage.window_start_ns, outage.window_end_ns) for outage in outages(record)]


def outage_of(fault: Fault, successes: Times, *, horizon_ns: int, settle_ns: int = SETTLE_NS) -> Outage:
    """``successes`` sorted; ``horizon_ns`` is when the last order was offered, so silence after it is no outage."""
    start_ns = fault.began_ns
    if start_ns is None:
        raise ValueError(f"fault {fault.fault_id} was never injected")
    end_ns = _base_end(fault, start_ns, successes, horizon_ns) + settle_ns
    before, after = _gaps_touching(start_ns, end_ns, successes, horizon_ns)
    longest = int(np.argmax(after - before))
    last_ns, next_ns = int(before[longest]), int(after[longest])
    recovered = bool(np.any(successes >= next_ns))
    return Outage(
        fault=fault,
        last_before_ns=last_ns,
        first_after_ns=next_ns if recovered else None,
        duration_ms=(next_ns - last_ns) / NS_PER_MS,
        window_start_ns=start_ns,
        window_end_ns=max(end_ns, next_ns + settle_ns),
    )


def outages_under(record: Record, bar: float) -> tuple[Outage, ...]:
    """One per fault that was injected: the longest span in which less than ``bar`` of what was offered succeeded.

    A window that holds twenty orders on average is moved along; it is down when fewer orders were acknowledged in it
    than ``bar`` times those offered around it. A span is what windows that are down cover between them.
    """
    offered = np.sort(np.array(_intended_ns(record), dtype=np.int64))
    if not len(offered):
        return outages(record)
    window_ns = max(_SHORTEST_WINDOW_NS, int((offered[-1] - offered[0]) * _ORDERS_PER_WINDOW / len(offered)))
    edges = np.arange(offered[0], offered[-1] + 1, window_ns // _STEPS)
    if len(edges) <= 3 * _STEPS:
        return outages(record)
    around = np.convolve(np.histogram(offered, edges)[0], np.ones(3 * _STEPS) / 3, mode="same")
    due = around[_STEPS // 2 : _STEPS // 2 + len(edges) - _STEPS]  # at each window's middle
    succeeded = np.convolve(np.histogram(acknowledgement_times(record), edges)[0], np.ones(_STEPS), mode="valid")
    down = np.convolve((succeeded < bar * due).astype(np.int64), np.ones(_STEPS, dtype=np.int64))
    return tuple(_outage_under(outage, edges, down == 0) for outage in outages(record))


def _outage_under(outage: Outage, edges: Times, up: npt.NDArray[np.bool_]) -> Outage:
    changes = np.flatnonzero(np.diff(np.concatenate(([True], up, [True])).astype(np.int8)))
    starts, ends = edges[changes[::2]], edges[changes[1::2]]
    touching = (ends > outage.window_start_ns) & (starts < outage.window_end_ns)
    if not touching.any():
        at_ns = outage.window_start_ns
        return replace(outage, last_before_ns=at_ns, first_after_ns=at_ns, duration_ms=0.0)
    starts, ends = starts[touching], ends[touching]
    longest = int(np.argmax(ends - starts))
    recovered = bool(ends[longest] < edges[-1])
    return replace(
        outage,
        last_before_ns=int(starts[longest]),
        first_after_ns=int(ends[longest]) if recovered else None,
        duration_ms=float(ends[longest] - starts[longest]) / NS_PER_MS,
    )


def acknowledgement_times(record: Record) -> Times:
    """When the load's successful orders were answered, sorted."""
    done = [
        operation.done_ns
        for operation in record.operations
        if operation.source == "load"
        and operation.kind == "place"
        and operation.outcome is OutcomeKind.OK
        and operation.done_ns is not None
    ]
    return np.sort(np.array(done, dtype=np.int64))


def longest_usual_gap_ms(record: Record) -> float | None:
    """The longest span between two acknowledgements outside every window: what an outage must be told from."""
    successes = acknowledgement_times(record)
    before, after = successes[:-1], successes[1:]
    usual = np.ones(len(before), dtype=bool)
    for start_ns, end_ns in windows(record):
        usual &= (after < start_ns) | (before > end_ns)
    return float((after - before)[usual].max() / NS_PER_MS) if usual.any() else None


def _base_end(fault: Fault, start_ns: int, successes: Times, horizon_ns: int) -> int:
    if fault.undone_ns is not None:
        return fault.undone_ns
    later = successes[successes > start_ns]
    return int(later[0]) if len(later) else max(horizon_ns, start_ns)


def _gaps_touching(start_ns: int, end_ns: int, successes: Times, horizon_ns: int) -> tuple[Times, Times]:
    """Pairs of neighbouring moments between which nothing succeeded, as far as they touch the window."""
    first = successes[0] if len(successes) else start_ns
    last = successes[-1] if len(successes) else start_ns
    moments = np.concatenate(([min(first, start_ns)], successes, [max(last, horizon_ns, start_ns)]))
    before, after = moments[:-1], moments[1:]
    touching = (after > start_ns) & (before < end_ns)
    if not touching.any():  # the fault came after everything that was offered
        return np.array([start_ns]), np.array([start_ns])
    return before[touching], after[touching]


def _last_intended_ns(record: Record) -> int:
    return max(_intended_ns(record), default=0)


def _intended_ns(record: Record) -> list[int]:
    return [o.intended_ns for o in record.operations if o.source == "load" and o.kind == "place"]
