"""What a scenario can ask of its run: the words of an objective, and what they mean.

An objective is {"objective": name, "max": bound} ("min" for the goodput), and may say more:

| key | of | meaning |
|---|---|---|
| scope | latencies, error ratio, goodput | outside_faults, inside_faults or all (``latency.Scope``) |
| scope | outage_ms, redundancy_s | all, or the id, kind or target of a fault |
| operation | latencies | place (the default), replace, cancel, read, ... |
| success_bar | outage_ms | the share of orders that must succeed for the platform to count as up; without it, one |
| baseline | latencies, staleness, goodput | a run to compare with; the bound is then a change, as in "+10 %" |

Latencies are asked outside faults unless told otherwise, everything else of all of the measured phase.
A change can be told by three runs a side or more, as by ``repeats`` of either, and never by fewer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from reports.latency import QUANTILES, Scope

OUTAGE: Final = "outage_ms"
REDUNDANCY: Final = "redundancy_s"
GOODPUT: Final = "goodput_per_s"
ERRORS: Final = "error_ratio"
CHECKS: Final = "checks"
LOST: Final = "lost_orders"
DOUBLED: Final = "doubled_orders"
LATENCY: Final = {f"latency_{name}_ms": quantile for name, quantile in QUANTILES.items()}
STALENESS: Final = {f"feed_staleness_{name}_ms": quantile for name, quantile in QUANTILES.items()}
NAMES: Final = (OUTAGE, REDUNDANCY, *LATENCY, *STALENESS, GOODPUT, ERRORS, LOST, DOUBLED, CHECKS)
OF_A_FAULT: Final = (OUTAGE, REDUNDANCY)
EVERY_FAULT: Final = "all"

_WITH_SCOPE: Final = {*LATENCY, *STALENESS, GOODPUT, ERRORS}
_COMPARABLE: Final = {*LATENCY, *STALENESS, GOODPUT}
_KEYS: Final = {"objective", "max", "min", "scope", "operation", "success_bar", "baseline"}
_CHANGE: Final = re.compile(r"([+-]\d+(?:\.\d+)?) ?%")
_OPERATION: Final = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True, slots=True)
class Objective:
    """``bound``: the most, or with ``at_least`` the least; with a ``baseline``, a change in per cent."""

    name: str
    bound: float
    scope: str | None = None
    at_least: bool = False
    operation: str = "place"
    success_bar: float | None = None
    baseline: str | None = None

    @property
    def title(self) -> str:
        """As it is told: its name, and what it is asked of where that is not the usual."""
        parts = [self.name, "" if self.operation == "place" else f"of {self.operation}", self.scope or ""]
        if self.success_bar is not None:
            parts.append(f"under {self.success_bar:g}")
        if self.baseline is not None:
            parts.append(f"against {self.baseline}")
        return " ".join(part for part in parts if part)


class ObjectiveError(ValueError):
    """An objective nobody can judge: an unknown name, scope or bound. ``key``: where in it."""

    def __init__(self, message: str, key: str = "objective") -> None:
        super().__init__(message)
        self.key = key


def parse_objective(entry: dict[str, Any]) -> Objective:
    """Raises ObjectiveError when anything in it means nothing; a scenario's model may ask, too."""
    entry = {key: value for key, value in entry.items() if value is not None}
    name = entry.get("objective")
    if name not in NAMES:
        raise ObjectiveError(f"unknown objective {name!r}; there are {', '.join(NAMES)}")
    if unknown := sorted(entry.keys() - _KEYS):
        raise ObjectiveError(f"objective {name}: unknown key {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
    bound_key, other = ("min", "max") if name == GOODPUT else ("max", "min")
    if other in entry:
        raise ObjectiveError(f"objective {name}: takes {bound_key}, not {other}", other)
    _refuse_scope(name, entry.get("scope"))
    return Objective(
        name=name,
        bound=_bound(name, bound_key, entry),
        scope=entry.get("scope"),
        at_least=bound_key == "min",
        operation=_operation(name, entry.get("operation")),
        success_bar=_success_bar(name, entry.get("success_bar")),
        baseline=entry.get("baseline"),
    )


def _bound(name: str, key: str, entry: dict[str, Any]) -> float:
    bound, baseline = entry.get(key), entry.get("baseline")
    if baseline is not None:
        if name not in _COMPARABLE:
            raise ObjectiveError(f"objective {name}: is never compared with a baseline", "baseline")
        if not isinstance(baseline, str) or not baseline:
            raise ObjectiveError(f"objective {name}: baseline must name a run, got {baseline!r}", "baseline")
        match = _CHANGE.fullmatch(bound) if isinstance(bound, str) else None
        if match is None:
            raise ObjectiveError(f"objective {name}: {key} must be a change as in +10 %, got {bound!r}", key)
        return float(match[1])
    if isinstance(bound, str) and _CHANGE.fullmatch(bound):
        raise ObjectiveError(f"objective {name}: {key} {bound} is a change; say with baseline from which run", key)
    if isinstance(bound, bool) or not isinstance(bound, int | float) or bound < 0:
        raise ObjectiveError(f"objective {name}: {key} must be a number of at least 0, got {bound!r}", key)
    return bound


def _refuse_scope(name: str, scope: Any) -> None:
    """Whether a scope names a fault is not asked here: the scenario knows which are planned."""
    if scope is None or name in OF_A_FAULT:
        return
    if name not in _WITH_SCOPE:
        raise ObjectiveError(f"objective {name}: takes no scope, it is about the whole run; got {scope!r}", "scope")
    if scope not in list(Scope):
        raise ObjectiveError(f"objective {name}: unknown scope {scope!r}; there are {', '.join(Scope)}", "scope")


def _operation(name: str, operation: Any) -> str:
    if operation is None:
        return "place"
    if name not in LATENCY:
        raise ObjectiveError(f"objective {name}: only a latency is of an operation", "operation")
    if not isinstance(operation, str) or not _OPERATION.fullmatch(operation):
        raise ObjectiveError(f"objective {name}: {operation!r} is no operation's kind, as cancel is", "operation")
    return operation


def _success_bar(name: str, bar: Any) -> float | None:
    if bar is None:
        return None
    if name != OUTAGE:
        raise ObjectiveError(f"objective {name}: only an outage has a success bar", "success_bar")
    if isinstance(bar, bool) or not isinstance(bar, int | float) or not 0 < bar <= 1:
        raise ObjectiveError(f"objective {name}: success_bar must be a share from 0 to 1, got {bar!r}", "success_bar")
    return float(bar)
