"""Facts of prices alone, and of prices with volume.

The list is Cont's (Empirical properties of asset returns: stylized facts and statistical issues, Quantitative Finance 1
(2001) 223).
"""

from __future__ import annotations

from math import isfinite, log, nan, sqrt

import numpy as np

from simulator.facts.evidence import (
    BATCHES,
    NOTHING,
    Estimate,
    Floats,
    autocorrelation,
    correlation,
    excess_kurtosis,
    lasting,
    ratio,
)

TAIL = 0.025  # the share of the largest moves that make the tail


def tail_index(returns: Floats) -> Estimate:
    """Hill's estimator over the largest ``TAIL`` of the absolute returns (Ann. Statist. 3 (1975) 1163)."""
    sizes = np.abs(returns - returns.mean())
    count = int(len(sizes) * TAIL)
    if count < BATCHES:
        return NOTHING
    threshold = np.partition(sizes, -count - 1)[-count - 1]
    beyond = sizes > threshold
    if not threshold:
        return NOTHING
    logs = np.where(beyond, np.log(np.maximum(sizes, threshold) / threshold), 0.0)
    return ratio(beyond.astype(float), logs)


def bounce(returns: Floats) -> Estimate:
    """The autocorrelation at lag one, where prices bounce between bid and ask."""
    return autocorrelation(returns, [1])


def linear_memory(returns: Floats) -> Estimate:
    """The mean autocorrelation at lags two to ten."""
    return autocorrelation(returns, range(2, 11))


def volatility_memory(returns: Floats, lags: range) -> Estimate:
    return autocorrelation(np.abs(returns - returns.mean()), lags)


def volatility_decay(returns: Floats, near: range, far: range) -> Estimate:
    """How much of the memory of absolute returns is left at the far lags (Cont, Quant. Finance 1 (2001) 223)."""
    return lasting(np.abs(returns - returns.mean()), near, far)


def normalizing(returns: Floats, longer: int) -> Estimate:
    """The logarithm of how many times smaller the kurtosis is when returns are summed over ``longer`` intervals."""
    short = excess_kurtosis(returns)
    summed = returns[: len(returns) // longer * longer].reshape(-1, longer).sum(axis=1)
    long = excess_kurtosis(summed)
    error = sqrt((short.error / (short.value + 3.0)) ** 2 + (long.error / (long.value + 3.0)) ** 2)
    fall = log((short.value + 3.0) / (long.value + 3.0)) if isfinite(error) else nan
    return Estimate(fall, error, min(short.freedom, long.freedom))


def volume_and_volatility(volumes: Floats, returns: Floats) -> Estimate:
    if not returns.any():
        return NOTHING
    return correlation(np.log1p(volumes), np.log(np.abs(returns) + np.abs(returns).mean()))
