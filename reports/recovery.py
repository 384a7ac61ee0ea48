"""What a failover was made of, fault by fault: noticed, taken over, first good answer, queues drained.

Each moment is a line or a row of the record: role changes and the database supervisor's events, the load's answers,
and how many of its orders were waiting. Milliseconds count from when the fault began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from reports.outage import Outage, acknowledgement_times, longest_usual_gap_ms, outages, windows
from reports.record import Record
from reports.rows import Happening
from reports.timeline import NS_PER_MS

# Who leads by these names: the engine, PostgreSQL, Redis.
LEADING: Final = ("active", "primary")
# What tells that something was noticed; the stack's own node_exited does not: it is no part of the platform.
_NOTICED: Final = ("role_changed", "sync_set_shrunk", "sync_set_grown", "supervisor_step")
_CALM_QUANTILE: Final = 0.99

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recovery:
    """None where the record shows no such moment: nobody had to take over, or it never happened."""

    outage: Outage
    noticed_ms: float | None
    taken_over_ms: float | None
    first_good_ms: float | None
    drained_ms: float | None


def recoveries(record: Record) -> list[Recovery]:
    """One per fault that was injected, in order of injection."""
    found = outages(record)
    if not found:
        return []
    usual_ms = longest_usual_gap_ms(record) or 0.0
    waiting = _Waiting.of(record)
    ends_ns = [outage.window_start_ns for outage in found[1:]] + [record.events[-1].at_ns + 1]
    return [_recovery(record, outage, end, usual_ms, waiting) for outage, end in zip(found, ends_ns, strict=True)]


def _recovery(record: Record, outage: Outage, end_ns: int, usual_ms: float, waiting: _Waiting) -> Recovery:
    began_ns = outage.window_start_ns
    events = [event for event in record.events if began_ns <= event.at_ns < end_ns]
    noticed_ns = next((event.at_ns for event in events if event.event in _NOTICED), None)
    lead_ns = next((event.at_ns for event in events if _leads(event)), None)
    first_ns = _first_good(record, outage, usual_ms)
    drained_ns = None if first_ns is None else waiting.calm_again_ns(first_ns)
    moments = (noticed_ns, lead_ns, first_ns, drained_ns)
    return Recovery(outage, *(None if at is None else (at - began_ns) / NS_PER_MS for at in moments))


def _leads(event: Happening) -> bool:
    return event.event == "role_changed" and event.details.get("role") in LEADING


def _first_good(record: Record, outage: Outage, usual_ms: float) -> int | None:
    """The end of an outage that stands out from the usual pauses; else the first answer after the fault began."""
    if outage.duration_ms > usual_ms:
        return outage.first_after_ns
    later = acknowledgement_times(record)
    later = later[later > outage.window_start_ns]
    return int(later[0]) if len(later) else None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """How many of the load's orders waited for their answer after each of these moments, and how many usually do."""

    at_ns: Times
    orders: Times
    usual: float

    @classmethod
    def of(cls, record: Record) -> _Waiting:
        answered = [o for o in record.operations if o.source == "load" and o.kind == "place" and o.done_ns is not None]
        begun = np.array([o.intended_ns for o in answered], dtype=np.int64)
        done = np.array([o.done_ns for o in answered], dtype=np.int64)
        at_ns = np.concatenate((begun, done))
        order = np.argsort(at_ns, kind="stable")
        steps = np.concatenate((np.ones(len(begun), dtype=np.int64), -np.ones(len(done), dtype=np.int64)))
        at_ns, orders = at_ns[order], np.cumsum(steps[order])
        calm = np.ones(len(at_ns), dtype=bool)
        for start_ns, end_ns in windows(record):
            calm &= (at_ns < start_ns) | (at_ns > end_ns)
        usual = float(np.quantile(orders[calm], _CALM_QUANTILE)) if calm.any() else 0.0
        return cls(at_ns, orders, usual)

    def calm_again_ns(self, from_ns: int) -> int | None:
        first = int(np.searchsorted(self.at_ns, from_ns, side="left"))
        calm = np.flatnonzero(self.orders[first:] <= self.usual)
        return int(self.at_ns[first + calm[0]]) if len(calm) else None


def milestones(recovery: Recovery) -> Iterator[tuple[str, float | None]]:
    """As a table shows them."""
    yield "noticed", recovery.noticed_ms
    yield "taken over", recovery.taken_over_ms
    yield "first good answer", recovery.first_good_ms
    yield "queues drained", recovery.drained_ms
