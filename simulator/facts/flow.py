"""Facts of order flow: signs, impact, the day's shape, spread, depth, and how much is asked for each trade.

Bouchaud, Farmer and Lillo, How markets slowly digest changes in supply and demand (Handbook of Financial Markets,
2009).
"""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np

from simulator.facts.evidence import BATCHES, NOTHING, Estimate, Floats, autocorrelation, from_influence, lasting, ratio


def sign_memory(signs: Floats, lags: range) -> Estimate:
    """Of the signs of the orders that took, one an order (Lillo and Farmer, Stud. Nonlinear Dyn. E. 8 (2004) 3)."""
    return autocorrelation(signs, lags)


def sign_decay(signs: Floats, near: range, far: range) -> Estimate:
    """How much of their memory is left at the far lags: after a power of the lag much, after an exponential nothing."""
    return lasting(signs, near, far)


def impact(responses: Floats) -> Estimate:
    """How much of what the middle moves from one order to the next goes the way of the first: 1 all of it, -1 all of it
    the other way, 0 without impact."""
    return ratio(responses, np.abs(responses))


def impact_exponent(volumes: Floats, responses: Floats) -> Estimate:
    """How the signed move of the middle grows with an order's volume: log of its ratio between the larger and the
    smaller half, by log of the ratio of their volumes (concave below 1: Lillo, Farmer and
    Mantegna, Nature 421 (2003) 129). Nothing when a half does not move it its own way.
    """
    if len(volumes) < 4 * BATCHES:
        return NOTHING
    large = volumes > np.median(volumes)
    high, low = large.astype(float), (~large).astype(float)
    parts = []
    for half in (high, low):
        for values in (responses, volumes):
            mean = (values * half).sum() / half.sum()
            parts.append((mean, (values - mean) * half / half.mean()))
    (up, up_pull), (size_up, size_up_pull), (down, down_pull), (size_down, size_down_pull) = parts
    if up <= 0 or down <= 0 or size_up <= size_down:
        return NOTHING
    scale = log(size_up / size_down)
    value = log(up / down) / scale
    pull = (up_pull / up - down_pull / down) / scale
    pull -= value * (size_up_pull / size_up - size_down_pull / size_down) / scale
    return from_influence(value, pull)


def ends_to_middle(per_minute: Floats) -> Estimate:
    """How many times as much happens in the first and last sixth of the day as in its middle third (logarithm)."""
    sixth = len(per_minute) // 6
    if sixth < BATCHES:
        return NOTHING
    ends = np.concatenate((per_minute[:sixth], per_minute[-sixth:]))
    middle = per_minute[2 * sixth : 4 * sixth]
    parts = [ratio(part.astype(float), np.ones(len(part))) for part in (ends, middle)]
    if any(part.value <= 0 for part in parts):
        return NOTHING
    error = sqrt(sum((part.error / part.value) ** 2 for part in parts))
    return Estimate(log(parts[0].value / parts[1].value), error, BATCHES - 1)


def time_weighted(values: Floats, durations: Floats) -> Estimate:
    return ratio(values * durations, durations)


def spread_variation(spreads: Floats, durations: Floats) -> Estimate:
    """The time-weighted standard deviation of the spread, by its mean."""
    if len(spreads) < 2 * BATCHES or not durations.sum():
        return NOTHING
    mean = float((spreads * durations).sum() / durations.sum())
    square = ratio((spreads - mean) ** 2 * durations, durations)
    if square.value <= 0:
        return Estimate(0.0, 0.0, BATCHES - 1)
    deviation = sqrt(square.value)
    return Estimate(deviation / mean, square.error / (2 * deviation * mean), square.freedom)


def depth_growth(first: Floats, deeper: Floats) -> Estimate:
    """What stands at the fourth to sixth level on average, by what stands at the best."""
    return ratio(deeper, first) if len(first) else NOTHING


def counted(part: int, whole: int) -> Estimate:
    """The ratio of two large counts; its error is that of the smaller one, as of a Poisson count."""
    if not part or not whole:
        return Estimate(part / whole if whole else inf, inf, 1.0)
    value = part / whole
    return Estimate(value, value * sqrt(1 / part + 1 / whole), inf)
