"""Words of judgement: what a check found, how an objective was met, and the verdict on a run."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec

MAX_EVIDENCE_ROWS: Final = 20


class CheckVerdict(StrEnum):
    HOLDS = "holds"
    VIOLATED = "violated"
    CANNOT_TELL = "cannot_tell"


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found. ``figures`` are the counts an objective may ask for, as in {"lost": 0}."""

    name: str
    title: str
    verdict: CheckVerdict
    summary: str
    evidence: list[dict[str, Any]] = msgspec.field(default_factory=list)
    figures: dict[str, int] = msgspec.field(default_factory=dict)


class ObjectiveOutcome(StrEnum):
    MET = "met"
    MISSED = "missed"
    CANNOT_TELL = "cannot_tell"


class ObjectiveResult(msgspec.Struct, frozen=True, kw_only=True):
    """One objective of the scenario against what was measured. ``low``..``high``: 95 % confidence, where it applies.

    ``bound`` is the most that meets it, or with ``at_least`` the least; in the unit %, a change against a baseline.
    ``more_samples``: how many more of its samples would decide what could not be told.
    ``censored``: ``measured`` is a lower bound of what it would have become, or of too few samples.
    """

    objective: str
    scope: str
    bound: float
    unit: str
    outcome: ObjectiveOutcome
    summary: str
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    at_least: bool = False
    title: str = ""
    more_samples: int | None = None
    censored: bool = False

    @property
    def asked(self) -> str:
        """As in ``<= 200 ms``."""
        number = f"{self.bound:+g}" if self.unit == "%" else f"{self.bound:g}"
        return f"{'>=' if self.at_least else '<='} {number} {self.unit}".rstrip()


class VerdictKind(StrEnum):
    INVALID = "INVALID"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    PASS = "PASS"


EXIT_CODES: Final = {
    VerdictKind.PASS: 0,
    VerdictKind.FAIL: 1,
    VerdictKind.INCONCLUSIVE: 3,
    VerdictKind.INVALID: 4,
}


class OutageFigure(msgspec.Struct, frozen=True, kw_only=True):
    """Of repeats ``outage_ms`` is the mean over ``runs`` runs, ``low_ms`` to ``high_ms`` its 95 % interval."""

    fault_id: str
    kind: str
    target: str
    outage_ms: float | None
    recovered: bool
    low_ms: float | None = None
    high_ms: float | None = None
    runs: int = 1


class NearestLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What used the largest share of what it had: a node or the machine of processors, or an engine of its commits."""

    name: str
    share: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that matter, for a terminal or a summary. None: the record does not tell."""

    orders_acknowledged: int | None = None
    rate_offered_per_s: float | None = None
    rate_achieved_per_s: float | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    lost_orders: int | None = None
    doubled_orders: int | None = None
    unknown_orders: int | None = None
    outages: list[OutageFigure] = msgspec.field(default_factory=list)
    nearest_limit: NearestLimit | None = None  # of repeats, in the run that came nearest


class SideResult(msgspec.Struct, frozen=True, kw_only=True):
    """One of several runs side by side; ``why`` is the first reason why it is no PASS, ``folder`` within theirs."""

    name: str
    folder: str
    verdict: VerdictKind
    why: str
    figures: Figures
    objectives: list[ObjectiveResult] = msgspec.field(default_factory=list)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of a run. ``reasons`` lead: why it is not a PASS, first what weighs most."""

    verdict: VerdictKind
    exit_code: int
    reasons: list[str]
    figures: Figures
    objectives: list[ObjectiveResult]
    invalid: list[str]
    violated: list[str] = msgspec.field(default_factory=list)  # checks, and a platform that never recovered
    scenario: str = ""
    seed: int | None = None
    sides: list[SideResult] = msgspec.field(default_factory=list)  # of variants or a search; no figures then
