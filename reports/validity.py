"""Whether a run may be judged at all: it first judges itself, and an invalid run neither passes nor fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from reports.dependence import Floats
from reports.fitness import (
    clock_ran_evenly,
    control_stayed_fast,
    enough_was_measured,
    generator_had_time,
    machine_was_ours,
    warm_up_was_over,
)
from reports.latency import Scope, measured_operations, select
from reports.record import MissingPartError, Record
from reports.records import WORKER_LOST, OutcomeKind
from reports.rows import Happening, Operation
from reports.timeline import NS_PER_MS, NS_PER_S, Fault, faults, measured, phases

MAX_LATENESS_MS: Final = 50.0
MAX_LATE_SHARE: Final = 0.01
MAX_RATE_SHORTFALL: Final = 0.02
MAX_CLOCKS_APART_MS: Final = 5.0
REQUIRED_PHASES: Final = ("prepare", "warm_up", "measure", "heal", "drain")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a run must be able to say of itself; ``reasons`` are empty when it can."""

    name: str
    title: str
    summary: str
    reasons: list[str]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How the load generator kept its schedule within the measured phase. Rates count operations of every kind."""

    intended: int
    sent: int
    seconds: float
    late_share: float
    lateness_p99_ms: float

    @property
    def rate_offered_per_s(self) -> float:
        return self.intended / self.seconds

    @property
    def rate_achieved_per_s(self) -> float:
        return self.sent / self.seconds


def judge_validity(record: Record) -> list[Finding]:
    """Every finding, also the good ones, in the order in which they are reported."""
    return [_found(record, *judgement) for judgement in _JUDGEMENTS]


def schedule_kept(record: Record) -> Schedule:
    """Raises MissingPartError when the record has no measured phase or nothing was intended in it."""
    start_ns, end_ns = measured(record)
    # A lost worker's share was nobody's to offer: the loss is a finding of its own.
    operations = [o for o in measured_operations(record) if not (o.answer or "").startswith(WORKER_LOST)]
    if not operations or end_ns <= start_ns:
        raise MissingPartError("the load intended no operation within the measured phase")
    sent = [operation for operation in operations if operation.sent_ns is not None and operation.sent_ns < end_ns]
    lateness = np.array([_lateness_ms(operation, end_ns) for operation in operations])
    return Schedule(
        intended=len(operations),
        sent=len(sent),
        seconds=(end_ns - start_ns) / NS_PER_S,
        late_share=float((lateness > MAX_LATENESS_MS).mean()),
        lateness_p99_ms=float(np.percentile(lateness, 99, method="inverted_cdf")),
    )


def _found(record: Record, name: str, title: str, judge: Callable[[Record], tuple[str, list[str]]]) -> Finding:
    try:
        summary, reasons = judge(record)
    except MissingPartError as error:
        summary, reasons = str(error), [f"{title}: {error}"]
    return Finding(name=name, title=title, summary=summary, reasons=reasons)


def _record_complete(record: Record) -> tuple[str, list[str]]:
    missing, damaged = record.missing(), record.damaged()
    reasons = [f"the record is incomplete: {gap}" for gap in missing]
    reasons += [f"the record is damaged: {gap}" for gap in damaged]
    return "; ".join((*missing, *damaged)) or "every part is there", reasons


def _phases_ran(record: Record) -> tuple[str, list[str]]:
    spans = {span.name: span for span in phases(record.events)}
    reasons = [f"the phase {name} never started" for name in REQUIRED_PHASES if name not in spans]
    reasons += [f"the phase {name} never ended" for name, span in spans.items() if _unfinished(name, span.end_ns)]
    ended_early = [event.text("why") for event in record.events if event.event == "ended_early"]
    reasons[:0] = [f"the run ended early: {why}" for why in ended_early]
    return f"{len(spans)} phases: {', '.join(spans)}", reasons


def _unfinished(name: str, end_ns: int | None) -> bool:
    return name in REQUIRED_PHASES and end_ns is None


def _warm_up_reached(record: Record) -> tuple[str, list[str]]:
    start_ns, _ = measured(record)
    warm = sum(
        1
        for o in record.operations
        if _acknowledged(o) and o.source == "load" and o.done_ns is not None and o.done_ns < start_ns
    )
    missing = "warm-up was not reached: no order of the load was acknowledged before the measured phase"
    reasons = [] if warm else [missing]
    summary, late = warm_up_was_over(record)
    return f"{warm:,} orders of the load acknowledged before the measured phase; {summary}", [*reasons, *late]


def _acknowledged(operation: Operation) -> bool:
    return operation.kind == "place" and operation.outcome is OutcomeKind.OK


def _schedule_was_kept(record: Record) -> tuple[str, list[str]]:
    kept = schedule_kept(record)
    reasons = []
    if kept.sent < (1 - MAX_RATE_SHORTFALL) * kept.intended:
        reasons.append(
            f"the load generator sent {kept.rate_achieved_per_s:.1f} operations/s of {kept.rate_offered_per_s:.1f}"
            f" intended ({kept.intended - kept.sent:,} were never sent in time; allowed are {MAX_RATE_SHORTFALL:.0%})"
        )
    if kept.late_share > MAX_LATE_SHARE:
        reasons.append(
            f"the load generator sent {kept.late_share:.1%} of its operations more than {MAX_LATENESS_MS:.0f} ms late"
            f" (p99 {kept.lateness_p99_ms:,.1f} ms; allowed are {MAX_LATE_SHARE:.0%})"
        )
    reasons += _judged_late(record)
    summary = (
        f"{kept.sent:,} of {kept.intended:,} operations sent, p99 {kept.lateness_p99_ms:,.1f} ms after their intended"
        f" start, {kept.late_share:.2%} more than {MAX_LATENESS_MS:.0f} ms late"
    )
    return summary, reasons


def _judged_late(record: Record) -> list[str]:
    """The operations that a latency is judged by, on their own: what the generator was late is in their time."""
    judged, (_, end_ns) = select(record, "place", Scope.OUTSIDE_FAULTS), measured(record)
    late = sum(_lateness_ms(operation, end_ns) > MAX_LATENESS_MS for operation in judged)
    if late <= MAX_LATE_SHARE * len(judged):
        return []
    share = late / len(judged)
    return [
        f"the load generator sent {share:.1%} of the orders outside faults more than {MAX_LATENESS_MS:.0f} ms late"
        f" (allowed are {MAX_LATE_SHARE:.0%})"
    ]


def _nothing_was_left_out(record: Record) -> tuple[str, list[str]]:
    """A generator that died leaves no rows of what it still intended: its silence must show, too."""
    start_ns, end_ns = measured(record)
    intended = sorted(operation.intended_ns for operation in measured_operations(record))
    if not intended:
        raise MissingPartError("the load intended no operation within the measured phase")
    recorded = [operation.operation_id for operation in record.operations if operation.source == "load"]
    scheduled, unique = record.run.get("scheduled_operations"), len(set(recorded))
    gaps: Floats = np.diff(np.array([start_ns, *intended, end_ns])) / NS_PER_S
    reasons = []
    if len(recorded) != unique:
        reasons.append(f"the record holds {len(recorded) - unique:,} operations of the load more than once")
    if not isinstance(scheduled, int):
        reasons += _silences(gaps)
    # Every scheduled operation has its row, also one never sent: what has none could hide a lost order.
    elif unique != scheduled:
        reasons.append(f"the load's schedule holds {scheduled:,} operations, the record {unique:,} of them")
    longest_s = float(gaps[1:-1].max(initial=0.0))
    return f"{len(intended):,} operations intended, never more than {longest_s:.2f} s apart", reasons


def _silences(gaps_s: Floats) -> list[str]:
    """What is too long for even arrivals. Only where no schedule is known: one may hold pauses of any length."""
    usual_s = float(gaps_s.mean())
    first, inner, last = float(gaps_s[0]), float(gaps_s[1:-1].max(initial=0.0)), float(gaps_s[-1])
    reasons = []
    if first > max(1.0, 20 * usual_s):
        reasons.append(f"the load generator began {first:.1f} s after the measured phase")
    if inner > max(1.0, 20 * usual_s):
        reasons.append(f"the load generator intended nothing for {inner:.1f} s (usually every {1000 * usual_s:.1f} ms)")
    if last > max(5.0, 20 * usual_s):
        reasons.append(f"the load generator stopped {last:.1f} s before the measured phase ended")
    return reasons


def _workers_stayed(record: Record) -> tuple[str, list[str]]:
    workers = [event for event in record.events if event.event == "load_worker"]
    lost = [event for event in record.events if event.event == "load_worker_lost"]
    if not workers:
        return "one process offered all of the load", []
    said = [_loss(event) for event in lost]
    reasons = [text for event, text in zip(lost, said, strict=True) if event.details.get("accepted") is not True]
    apart_ns = [event.details.get("clock_offset_ns") for event in workers]
    known = [abs(offset) for offset in apart_ns if isinstance(offset, int)]
    worst_ms = max(known, default=0) / NS_PER_MS
    if worst_ms > MAX_CLOCKS_APART_MS:
        reasons.append(f"the clocks of the load's workers are {worst_ms:,.1f} ms apart")
    degraded = f"; degraded: {'; '.join(said)}" if said else ""
    return (
        f"{len(workers) - len(lost)} of {len(workers)} workers stayed, clocks within {worst_ms:.2f} ms{degraded}",
        reasons,
    )


def _loss(event: Happening) -> str:
    unclear, not_offered = event.details.get("unclear"), event.details.get("not_offered")
    return (
        f"the load's worker {event.text('node')} was lost: {not_offered} operations of its share were not offered,"
        f" {unclear} may have been sent"
    )


def _faults_bit(record: Record) -> tuple[str, list[str]]:
    found = faults(record.events)
    reasons = [reason for fault in found for reason in _fault_reasons(fault)]
    bit = sum(fault.bit for fault in found)
    return f"{bit} of {len(found)} faults had their effect measured" if found else "no fault was planned", reasons


def _fault_reasons(fault: Fault) -> list[str]:
    name = f"fault {fault.fault_id} ({fault.label})"
    if fault.injected_ns is None:
        return [f"{name} was never injected{': ' + fault.error if fault.error else ''}"]
    reasons = []
    if fault.undone_ns is None and not fault.permanent:
        reasons.append(f"{name} was never undone{': ' + fault.error if fault.error else ''}")
    if not fault.bit:
        why = fault.evidence.get("summary") or "its evidence does not say that it had an effect"
        reasons.append(f"{name} did not bite: {why}")
    return reasons


def _lateness_ms(operation: Operation, end_ns: int) -> float:
    """An operation that was never sent is late by all the time that was left."""
    return ((operation.sent_ns or end_ns) - operation.intended_ns) / NS_PER_MS


_JUDGEMENTS: Final = (
    ("phases", "Every phase ran", _phases_ran),  # first: what ended a run is why its record is incomplete
    ("record", "The record is complete", _record_complete),
    ("warm_up", "The warm-up was reached", _warm_up_reached),
    ("schedule", "The load generator kept its schedule", _schedule_was_kept),
    ("offered", "The load generator offered all it had scheduled", _nothing_was_left_out),
    ("workers", "Every worker of the load stayed", _workers_stayed),
    ("generator", "The load generator had time to spare", generator_had_time),
    ("control", "A no-op endpoint stayed fast", control_stayed_fast),
    ("machine", "Nobody else took the machine", machine_was_ours),
    ("clock", "The clock ran evenly", clock_ran_evenly),
    ("samples", "Enough was measured", enough_was_measured),
    ("faults", "Every fault bit", _faults_bit),
)
