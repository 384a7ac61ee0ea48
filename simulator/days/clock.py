"""A market's own time: it runs faster when the market is busier, and everything that clusters does so by it.

Calendar time is stretched by the day's U shape and by an activity that wanders on several time scales at once, whose
sum decays slowly (superposed Ornstein-Uhlenbeck processes: Barndorff-Nielsen and Shephard, J. R. Statist. Soc. B 63
(2001) 167; three scales suffice to look like long memory: LeBaron, Quantitative Finance 1 (2001) 621). That volume
and volatility share such a clock is the mixture-of-distributions hypothesis (Clark, Econometrica 41 (1973) 135).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from trading.core.orders import NS_PER_S

_SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True)
class Activity:
    """``u_shape``: how many times busier the open is than noon. ``volatility``: standard deviation of the logarithm of
    the activity, spread evenly over ``scales_s``."""

    u_shape: float = 1.0
    volatility: float = 0.0
    scales_s: tuple[float, ...] = (20.0, 240.0, 2_400.0)


class MarketClock:
    """Seconds of market time since the start, a step after the other; one a second on average."""

    __slots__ = ("_elapsed", "_rates", "_start_ns", "_step_ns")

    def __init__(self, rates: list[float], start_ns: int, step_ns: int) -> None:
        """``rates``: market seconds a second within each step. The last goes on for ever."""
        self._rates, self._start_ns, self._step_ns = rates, start_ns, step_ns
        elapsed, total = [0.0], 0.0
        for rate in rates:
            total += rate * step_ns / NS_PER_S
            elapsed.append(total)
        self._elapsed = elapsed

    def read(self, at_ns: int) -> float:
        since = max(0, at_ns - self._start_ns)
        step = min(since // self._step_ns, len(self._rates) - 1)
        return self._elapsed[step] + self._rates[step] * (since - step * self._step_ns) / NS_PER_S

    def rate(self, at_ns: int) -> float:
        return self._rates[min(max(0, at_ns - self._start_ns) // self._step_ns, len(self._rates) - 1)]

    def when(self, reading: float) -> int:
        """The first nanosecond at which it has reached this."""
        step = min(max(0, bisect_right(self._elapsed, reading) - 1), len(self._rates) - 1)
        into_ns = (reading - self._elapsed[step]) / self._rates[step] * NS_PER_S
        return self._start_ns + step * self._step_ns + int(into_ns)


def u_shape(fraction: float, height: float) -> float:
    """Activity at this fraction of the day, with mean one; both ends are ``height`` times the middle."""
    return (1.0 + (height - 1.0) * (2.0 * fraction - 1.0) ** 2) / (1.0 + (height - 1.0) / 3.0)


def market_clock(
    activity: Activity, rng: np.random.Generator, *, start_ns: int, end_ns: int, step_ns: int = NS_PER_S
) -> MarketClock:
    steps = max(1, -(-(end_ns - start_ns) // step_ns))
    rates = np.array([u_shape((step + 0.5) / steps, activity.u_shape) for step in range(steps)])
    if activity.volatility:
        rates *= _wandering(activity, rng, steps, step_ns / NS_PER_S)
        rates *= steps / rates.sum()  # days differ in when they are busy, not in how busy they are
    return MarketClock(rates.tolist(), start_ns, step_ns)


def _wandering(activity: Activity, rng: np.random.Generator, steps: int, step_s: float) -> np.ndarray:
    """Positive with mean one: the exponential of a sum of Ornstein-Uhlenbeck processes, each exact on the grid."""
    total = np.zeros(steps)
    sigma = activity.volatility / sqrt(len(activity.scales_s))
    for scale_s in activity.scales_s:
        keep = exp(-step_s / max(scale_s, _SHORTEST_S))
        shocks = (sigma * sqrt(1.0 - keep * keep) * rng.standard_normal(steps)).tolist()
        level = sigma * float(rng.standard_normal())
        path = []
        for shock in shocks:
            level = keep * level + shock
            path.append(level)
        total += path
    return np.asarray(np.exp(total - activity.volatility**2 / 2.0))
