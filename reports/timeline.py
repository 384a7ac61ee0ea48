"""When what happened in a run: phases, faults and roles, folded from its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from reports.record import MissingPartError, Record
from reports.rows import Happening

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted. ``end_ns`` is None when the record does not say that it ended."""

    name: str
    start_ns: int
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class RoleSpan:
    node: str
    role: str
    epoch: int | None
    start_ns: int
    end_ns: int | None


@dataclass(slots=True)
class Fault:
    """One fault's life. A permanent one is never undone, as the kill of a node that stays dead."""

    fault_id: str
    kind: str = ""
    target: str = ""
    permanent: bool = False
    planned_ns: int | None = None  # last: once more, with its aim, right before it is applied
    injected_ns: int | None = None
    undone_ns: int | None = None
    failed_ns: int | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def bit(self) -> bool:
        """Whether its evidence says that it had an effect."""
        return self.evidence.get("bit") is True

    @property
    def began_ns(self) -> int | None:
        """When it was first being applied; None when it never was on. Some take a while until they are."""
        if self.injected_ns is None or self.planned_ns is None:
            return self.injected_ns
        return min(self.planned_ns, self.injected_ns)

    @property
    def label(self) -> str:
        return f"{self.kind} {self.target}".strip()


def phases(events: Iterable[Happening]) -> list[Span]:
    """Phases in order of their start."""
    spans: dict[str, Span] = {}
    for event in events:
        if event.event != "phase":
            continue
        name = event.text("phase")
        if event.text("state") == "started":
            spans[name] = Span(name, event.at_ns, None)
        elif name in spans:
            spans[name] = Span(name, spans[name].start_ns, event.at_ns)
    return list(spans.values())


def phase(record: Record, name: str) -> Span:
    """Raises MissingPartError when the run never entered it."""
    for span in phases(record.events):
        if span.name == name:
            return span
    raise MissingPartError(f"events.jsonl has no phase {name!r}")


def measured(record: Record) -> tuple[int, int]:
    """Start and end of the measured phase in ns; an unfinished one ends with the last event of the record."""
    span = phase(record, "measure")
    return span.start_ns, span.end_ns or record.events[-1].at_ns


def faults(events: Iterable[Happening]) -> list[Fault]:
    """Faults in the order in which they were first written down."""
    found: dict[str, Fault] = {}
    for event in events:
        if event.event == "fault":
            identity = event.text("fault_id")
            _advance(found.setdefault(identity, Fault(identity)), event)
    return list(found.values())


def _advance(fault: Fault, event: Happening) -> None:
    fault.kind = event.text("kind") or fault.kind
    fault.target = event.text("target") or fault.target
    fault.permanent = fault.permanent or event.details.get("permanent") is True
    fault.error = event.text("error") or fault.error
    evidence = event.details.get("evidence") or {}
    fault.evidence = {**fault.evidence, **evidence, "bit": fault.bit or evidence.get("bit") is True}
    match event.text("state"):
        case "planned":
            fault.planned_ns = event.at_ns
        case "injected":
            fault.injected_ns = event.at_ns
        case "undone":
            fault.undone_ns = event.at_ns
        case "failed":
            fault.failed_ns = event.at_ns
        case _:
            pass


def role_spans(events: Iterable[Happening]) -> list[RoleSpan]:
    """Who held which role when, per node in order of time."""
    current: dict[str, RoleSpan] = {}
    spans: list[RoleSpan] = []
    for event in events:
        if event.event not in ("role_changed", "node_exited"):
            continue
        node = event.text("node")
        held = current.pop(node, None)
        if held is not None:
            spans.append(RoleSpan(held.node, held.role, held.epoch, held.start_ns, event.at_ns))
        if event.event == "role_changed":
            current[node] = RoleSpan(node, event.text("role"), event.details.get("epoch"), event.at_ns, None)
        elif held is not None:
            current[node] = RoleSpan(node, "exited", None, event.at_ns, None)
    return sorted([*spans, *current.values()], key=lambda span: (span.node, span.start_ns))
