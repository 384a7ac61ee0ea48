"""One run against another: by what factor a percentile or a mean changed, with an interval that knows its noise.

Each side has an interval of its own: over its runs when there are several (Student's t on the logarithms: it holds
whatever differs from run to run), else from the one run's samples (reports.dependence: it holds what differs from
second to second, and nothing of what differs between runs). The two give the interval of their ratio by MOVER, which
needs no draws (Zou & Donner 2008, doi 10.1002/sim.3095).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import t

from reports.bounds import CONFIDENCE
from reports.dependence import Interval, Timed, mean_interval, percentile_interval

MIN_RUNS: Final = 3  # from which on their own spread says more than the samples of one: reports/published/gate-study.md


@dataclass(frozen=True, slots=True)
class Side:
    """A figure and the ends of its interval (infinite where the samples do not tell); where what is asked is by what
    factor it changed, the logarithms of these."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change:
    """In per cent: +10 is a tenth more than the baseline. ``low`` to ``high`` encloses the true change at 95 %."""

    percent: float
    low: float | None
    high: float | None


def side_of(runs: Sequence[Timed], quantile: float | None) -> Side:
    """``runs`` of one side, at least one, none empty; ``quantile`` None: the mean of values a second apart."""
    logs = [_log(_figure(run, quantile)) for run in runs]
    value = float(np.mean(logs))
    if len(runs) >= MIN_RUNS:
        half = float(t.ppf(0.5 + CONFIDENCE / 2, len(runs) - 1)) * float(np.std(logs, ddof=1)) / math.sqrt(len(runs))
        return Side(value, value - half, value + half)
    intervals = [_interval(run, quantile) for run in runs]
    below = [math.inf if i.low is None else log - _log(i.low) for log, i in zip(logs, intervals, strict=True)]
    above = [math.inf if i.high is None else _log(i.high) - log for log, i in zip(logs, intervals, strict=True)]
    return Side(value, value - _mean_error(below), value + _mean_error(above))


def change(ours: Side, theirs: Side) -> Change:
    """Of two sides that ``side_of`` made."""
    found = difference(ours, theirs)
    ends = (None if math.isinf(end) else _percent(end) for end in (found.low, found.high))
    return Change(_percent(found.value), *ends)


def difference(ours: Side, theirs: Side) -> Side:
    value = ours.value - theirs.value
    low = value - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    high = value + math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    return Side(value, low, high)


def _figure(run: Timed, quantile: float | None) -> float:
    if quantile is None:
        return float(run.values.mean())
    return float(np.quantile(run.values, quantile, method="inverted_cdf"))


def _interval(run: Timed, quantile: float | None) -> Interval:
    return mean_interval(run.values) if quantile is None else percentile_interval(run, quantile)


def _mean_error(errors: list[float]) -> float:
    """Of a mean of independent figures with these errors."""
    return math.sqrt(sum(error**2 for error in errors)) / len(errors)


def _log(value: float) -> float:
    return math.log(max(value, 1e-9))


def _percent(logarithm: float) -> float:
    return 100 * math.expm1(logarithm)
