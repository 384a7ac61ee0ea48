"""Words of a comparison of two runs, as against-RUN.json holds it."""

from __future__ import annotations

from typing import Final

import msgspec

from reports.latency import Scope
from reports.likeness import Difference
from reports.results import CheckVerdict, Figures, OutageFigure, VerdictKind

COMPARISON_VERSION: Final = 1


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of one side with its 95 % interval (None where the samples do not tell); ``samples`` behind it."""

    value: float
    low: float | None
    high: float | None
    samples: int


class FigureChange(msgspec.Struct, frozen=True, kw_only=True):
    """``percent``: how much more the run has than the baseline, enclosed at 95 % by ``low`` to ``high``.

    ``figure``: a percentile's name (of response time, in ms), or goodput_per_s (good answers a second).
    """

    operation: str
    scope: Scope
    figure: str
    baseline: Measured
    run: Measured
    percent: float
    low: float | None
    high: float | None

    @property
    def told(self) -> str:
        """Whether the interval leaves out no change: higher, lower, or no clear difference."""
        if self.low is not None and self.low > 0:
            return "higher"
        return "lower" if self.high is not None and self.high < 0 else "no clear difference"


class ErrorChange(msgspec.Struct, frozen=True, kw_only=True):
    """Orders sent that got no good answer. ``difference`` of the ratios; no interval near faults: counted whole."""

    scope: Scope
    baseline_errors: int
    baseline_sent: int
    run_errors: int
    run_sent: int
    difference: float | None
    low: float | None
    high: float | None


class OutageChange(msgspec.Struct, frozen=True, kw_only=True):
    """One fault's outage; None on the side that never had the fault. An interval needs repeats on both sides."""

    fault: str
    baseline: OutageFigure | None
    run: OutageFigure | None
    difference_ms: float | None
    low_ms: float | None
    high_ms: float | None


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A check or an objective on both sides: outcome and what was found; "" on a side that has none of that name."""

    title: str
    baseline: str
    baseline_summary: str
    run: str
    run_summary: str

    @property
    def hold_both(self) -> bool:
        return self.baseline == self.run == CheckVerdict.HOLDS


class SideSummary(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    scenario: str
    seed: int | None
    runs: int
    verdict: VerdictKind
    reasons: list[str]
    figures: Figures


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``blockers`` say why the two cannot be compared, ``cautions`` what to mind; the figures are shown either way."""

    comparison_version: int
    comparable: bool
    blockers: list[str]
    cautions: list[str]
    baseline: SideSummary
    run: SideSummary
    figures: list[FigureChange]
    errors: list[ErrorChange]
    outages: list[OutageChange]
    objectives: list[Pair]
    checks: list[Pair]
    differences: list[Difference]
