"""How sure a figure is: its value, its standard error from dependent data, and what several runs say together.

Every statistic here is a smooth function of averages over time, so its error comes from its influence values: how much
each moment pulls it. Their sums over long batches are nearly independent (batch means: Alexopoulos and Seila, 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import TypeAlias

import numpy as np
from scipy import stats

BATCHES = 20
Floats: TypeAlias = np.ndarray


@dataclass(frozen=True, slots=True)
class Estimate:
    """``error``: standard error, of Student's t with ``freedom`` degrees. Not finite: there was too little to tell."""

    value: float
    error: float
    freedom: float

    def interval(self, level: float) -> tuple[float, float]:
        """The confidence interval at this level, as 0.95."""
        if not (isfinite(self.value) and isfinite(self.error)):
            return -inf, inf
        reach = float(stats.t.ppf(0.5 + level / 2, self.freedom)) * self.error
        return self.value - reach, self.value + reach


NOTHING = Estimate(float("nan"), inf, 1.0)


def from_influence(value: float, influence: Floats) -> Estimate:
    """``influence``: of each moment in order of time; their mean is taken off."""
    count = len(influence)
    if count < 2 * BATCHES or not isfinite(value):
        return NOTHING
    centred = influence - influence.mean()
    means = np.array([part.mean() for part in np.array_split(centred, BATCHES)])
    return Estimate(float(value), float(means.std(ddof=1)) / sqrt(BATCHES), BATCHES - 1)


def ratio(numerator: Floats, denominator: Floats) -> Estimate:
    """Of two sums over the same moments."""
    total = denominator.sum()
    if len(numerator) < 2 * BATCHES or not total:
        return NOTHING
    value = numerator.sum() / total
    return from_influence(value, (numerator - value * denominator) / denominator.mean())


def correlation(first: Floats, second: Floats) -> Estimate:
    if len(first) < 2 * BATCHES or not first.std() or not second.std():
        return NOTHING
    x, y = (first - first.mean()) / first.std(), (second - second.mean()) / second.std()
    value = float((x * y).mean())
    return from_influence(value, x * y - value * (x * x + y * y) / 2)


def autocorrelation(values: Floats, lags: Sequence[int]) -> Estimate:
    """The mean of the autocorrelations at these lags."""
    if len(values) < max(lags) + 2 * BATCHES:
        return NOTHING
    centred = values - values.mean()
    later = centred[max(lags) :]
    return ratio(later * _earlier(centred, lags, len(later)), later * later)


def lasting(values: Floats, near: Sequence[int], far: Sequence[int]) -> Estimate:
    """The mean of the autocorrelations at the far lags, by that at the near ones."""
    if len(values) < max(far) + 2 * BATCHES:
        return NOTHING
    centred = values - values.mean()
    later = centred[max(far) :]
    return ratio(*(later * _earlier(centred, lags, len(later)) for lags in (far, near)))


def _earlier(values: Floats, lags: Sequence[int], count: int) -> Floats:
    """The mean of what was so many lags before each of the last ``count`` values."""
    first = len(values) - count
    return sum((values[first - lag : len(values) - lag] for lag in lags), np.zeros(count)) / len(lags)


def excess_kurtosis(values: Floats) -> Estimate:
    if len(values) < 2 * BATCHES or not values.std():
        return NOTHING
    square = (values - values.mean()) ** 2
    second = square.mean()
    value = (square**2).mean() / second**2
    influence = (square**2 - value * second * (2 * square - second)) / second**2
    return from_influence(value - 3.0, influence)


def together(estimates: Sequence[Estimate]) -> Estimate:
    """What independent runs of the same market say: their mean, with the error that they themselves show.

    Nothing when one of them says nothing: those without a value are often those that would speak against the others.
    """
    if len(estimates) == 1:
        return estimates[0]
    values = np.array([estimate.value for estimate in estimates])
    if len(values) < 2 or not np.isfinite(values).all():
        return NOTHING
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / sqrt(len(values)), len(values) - 1)
