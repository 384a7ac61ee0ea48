"""How long commits rested on fewer copies than they should: per fault, from the database supervisor's own events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reports.record import MissingPartError, Record
from reports.rows import Happening
from reports.timeline import NS_PER_S, Fault, faults

DATABASE: Final = "postgres:"  # how the names of its nodes begin
_COPIES: Final = 2  # beside the primary: the synchronous standby and the receiver of the log


@dataclass(frozen=True, slots=True)
class Shortage:
    """From the fault on until every copy counted again; 0 s for a fault that cost none.

    A copy that is lost is the doing of the fault that began last before.
    Not ``restored``: it lasted until the end of the record, the seconds are a lower bound.
    """

    fault: Fault
    seconds: float
    restored: bool


def shortages(record: Record) -> list[Shortage]:
    """One per fault that was injected. Raises MissingPartError when no supervisor told anything."""
    events = record.events
    if not any(event.event == "supervisor_started" for event in events):
        raise MissingPartError("events.jsonl tells nothing of the database's supervisor")
    began = sorted(
        ((began_ns, fault) for fault in faults(events) if (began_ns := fault.began_ns) is not None),
        key=lambda pair: pair[0],
    )
    ends_ns = [*(began_ns for began_ns, _ in began[1:]), events[-1].at_ns + 1]
    return [
        _shortage(fault, (begun_ns, end_ns), events) for (begun_ns, fault), end_ns in zip(began, ends_ns, strict=True)
    ]


def primary_changed(event: Happening) -> bool:
    return (
        event.event == "role_changed"
        and event.text("node").startswith(DATABASE)
        and event.details.get("role") == "primary"
    )


def _shortage(fault: Fault, until_next: tuple[int, int], events: list[Happening]) -> Shortage:
    began_ns, end_ns = until_next
    lost_ns = next((event.at_ns for event in events if began_ns <= event.at_ns < end_ns and _lost(event)), None)
    if lost_ns is None:
        return Shortage(fault, 0.0, restored=True)
    back_ns = next((event.at_ns for event in events if event.at_ns >= lost_ns and _all_back(event)), None)
    until_ns = events[-1].at_ns if back_ns is None else back_ns
    return Shortage(fault, (until_ns - began_ns) / NS_PER_S, restored=back_ns is not None)


def _lost(event: Happening) -> bool:
    """A new primary begins with the receiver alone."""
    return event.event == "sync_set_shrunk" or primary_changed(event)


def _all_back(event: Happening) -> bool:
    return event.event == "sync_set_grown" and len(event.details.get("sync", ())) == _COPIES
