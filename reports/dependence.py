"""Intervals for samples that resemble their neighbours: a second in which one order waits, many wait.

Order statistics give a percentile's interval without assuming a distribution, but they count every sample as news.
So the samples are counted down to as many independent ones as would vary as much: the share of samples beyond the
percentile is followed over blocks of time, and how much more it varies from block to block than that of independent
samples would is the *inflation* (batch means; Woodruff 1952 for the interval, Alexopoulos & Goldsman 2004 for batches).
Nothing is drawn: the same samples always give the same interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from reports.bounds import CONFIDENCE, percentile_ranks

Floats = npt.NDArray[np.float64]

MIN_BLOCKS: Final = 8
# The longest one there are blocks enough of matters most: it knows the slowest waves.
BLOCKS_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_NS_PER_S: Final = 1_000_000_000
_Z: Final = float(norm.ppf(0.5 + CONFIDENCE / 2))


@dataclass(frozen=True, slots=True)
class Timed:
    """Samples with the moments they belong to (ns since the epoch), in order of time, of equal length.

    Not ``steady``: taken while a fault came and went. Then they are all there is of it, no sample of something that
    goes on, and differ from second to second by its doing; their interval counts each as news.
    """

    at_ns: npt.NDArray[np.int64]
    values: Floats
    steady: bool = True

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Interval:
    """``low`` to ``high`` encloses the truth at 95 %; None: the samples are too few for that end."""

    low: float | None
    high: float | None


def timed(at_ns: list[int], values: list[float], *, steady: bool = True) -> Timed:
    order = np.argsort(np.array(at_ns, dtype=np.int64), kind="stable")
    return Timed(np.array(at_ns, dtype=np.int64)[order], np.array(values, dtype=np.float64)[order], steady)


def inflation(samples: Timed, threshold: float) -> float:
    """How many samples in a row say as much as one independent sample about the share beyond ``threshold``; >= 1."""
    beyond = samples.values > threshold
    share = float(beyond.mean())
    if not samples.steady or not 0 < share < 1:
        return 1.0
    independent = len(samples) * share * (1 - share)
    worst = 1.0
    for seconds in BLOCKS_S:
        _, block, sizes = np.unique(_block_numbers(samples.at_ns, seconds), return_inverse=True, return_counts=True)
        if len(sizes) < MIN_BLOCKS:
            break
        surplus = np.bincount(block, weights=beyond) - sizes * share
        varies = float(np.square(surplus).sum()) * len(sizes) / (len(sizes) - 1)
        worst = max(worst, varies / independent * _few_blocks(len(sizes)))
    return worst


def percentile_interval(samples: Timed, quantile: float) -> Interval:
    """Of the true percentile. ``samples`` must not be empty."""
    ordered = np.sort(samples.values)
    value = float(np.quantile(ordered, quantile, method="inverted_cdf"))
    count = len(ordered)
    worth = max(1, round(count / inflation(samples, value)))
    low, high = percentile_ranks(worth, quantile)
    return Interval(
        low=None if low is None else float(ordered[math.floor(low / worth * count)]),
        high=None if high is None else float(ordered[math.ceil((high + 1) / worth * count) - 1]),
    )


def samples_to_decide(samples: Timed, quantile: float, bound: float) -> int | None:
    """How many more samples like these would put the percentile's interval on one side of ``bound``.

    None when exactly the percentile's share lies within the bound: then no number would. 0: the share beyond the bound
    tells by itself, whatever becomes of the interval, which follows the percentile where samples are sparse.
    """
    within, count = float((samples.values <= bound).mean()), len(samples)
    if within == quantile:
        return None
    stretch = inflation(samples, bound)
    needed = _Z**2 * stretch * quantile * (1 - quantile) / (within - quantile) ** 2
    extreme = math.log((1 - CONFIDENCE) / 2) / math.log(quantile if within > quantile else 1 - quantile)
    return max(0, math.ceil(max(needed, stretch * extreme) - count))


def mean_interval(values: Floats) -> Interval:
    """Of the mean of a series of equally spaced values (one a second), which may resemble their neighbours."""
    count = len(values)
    if count < MIN_BLOCKS:
        return Interval(None, None)
    mean, half, length = float(values.mean()), 0.0, 1
    while count // length >= MIN_BLOCKS:
        blocks = values[: count // length * length].reshape(-1, length).mean(axis=1)
        spread = float(blocks.std(ddof=1)) / math.sqrt(len(blocks))
        half = max(half, float(t.ppf(0.5 + CONFIDENCE / 2, len(blocks) - 1)) * spread)
        length *= 2
    return Interval(mean - half, mean + half)


def _block_numbers(at_ns: npt.NDArray[np.int64], seconds: float) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = (at_ns - at_ns[0]) // round(seconds * _NS_PER_S)
    return numbers


def _few_blocks(count: int) -> float:
    """A variance that is itself estimated, from few blocks: Student's t against the normal, squared."""
    return float(t.ppf(0.5 + CONFIDENCE / 2, count - 1) / _Z) ** 2
