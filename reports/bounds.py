"""What a count or a sample says beyond this run: exact binomial bounds, without approximations."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

CONFIDENCE: Final = 0.95


def rate_upper_bound(count: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided Clopper-Pearson bound of a rate: with ``count`` = 0 about 3/trials at 95 % (the rule of three)."""
    if trials <= 0 or count >= trials:
        return 1.0
    if count == 0:
        return -math.expm1(math.log1p(-confidence) / trials)
    low, high = count / trials, 1.0
    for _ in range(60):  # halves the interval below a double's resolution
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(count, trials, middle) > 1 - confidence else (low, middle)
    return high


def rate_interval(count: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The two-sided Clopper-Pearson interval of a rate; ``trials`` at least 1."""
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, trials - count + 1))
    high = 1.0 if count == trials else float(beta.ppf(1 - tail, count + 1, trials - count))
    return low, high


def bound_text(count: int, trials: int, noun: str) -> str:
    """As in "0 lost of 12,431: at most 0.024 % at 95 %"."""
    bound = rate_upper_bound(count, trials)
    return f"{count:,} {noun} of {trials:,}: at most {100 * bound:.2g} % at {CONFIDENCE:.0%}".replace("95%", "95 %")


def percentile_ranks(samples: int, quantile: float, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """Zero-based ranks in the sorted samples that enclose the true quantile with ``confidence``.

    Distribution-free (binomial order statistics). None where the samples are too few for that end.
    """
    cumulative = np.cumsum(np.exp(_log_probabilities(samples, quantile)))
    tail = (1 - confidence) / 2
    low = int(np.searchsorted(cumulative, tail, side="right")) - 1
    high = int(np.searchsorted(cumulative, 1 - tail, side="left"))
    return (low if low >= 0 else None), (high if high < samples else None)


def _at_most(count: int, trials: int, rate: float) -> float:
    """Probability of at most ``count`` events in ``trials``."""
    terms = (
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(rate)
        + (trials - k) * math.log1p(-rate)
        for k in range(count + 1)
    )
    return math.fsum(math.exp(term) for term in terms)


def _log_probabilities(samples: int, quantile: float) -> npt.NDArray[np.float64]:
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, samples + 1)))))
    k = np.arange(samples + 1)
    choose = factorials[samples] - factorials[k] - factorials[samples - k]
    result: npt.NDArray[np.float64] = choose + k * math.log(quantile) + (samples - k) * math.log1p(-quantile)
    return result
