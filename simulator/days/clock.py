"""A market's own time: it runs faster when the market is busier, and everything that clusters does so by it.

Calendar time is stretched by the day's U shape and by an activity that wanders on several time scales at once, whose
sum decays slowly (superposed Ornstein-Uhlenbeck processes: Barndorff-Nielsen and Shephard, J. R. Statist. Soc. B 63
(2001) 167; three scales suffice to look like long memory: LeBaron, Quantitative Finance 1 (2001) 621). That volume
and volatility share such a clock is the mixture-of-distributions hypothesis (Clark, Econometrica 41 (1973) 135).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.signal import lfilter

from simulator.days.grid import BLOCK, Blocks, blocks_of, normal_draws, steps_in
from trading.core.orders import NS_PER_S

_SHORTEST_S = 1.0

Fraction = TypeVar("Fraction", float, np.ndarray)


@dataclass(frozen=True, slots=True)
class Activity:
    """``u_shape``: how many times busier the open is than noon. ``volatility``: standard deviation of the logarithm of
    the activity, spread evenly over ``scales_s``."""

    u_shape: float = 1.0
    volatility: float = 0.0
    scales_s: tuple[float, ...] = (20.0, 240.0, 2_400.0)


class _Span(NamedTuple):
    """A block of steps. ``elapsed``: the reading at the beginning of each and at the end of the last; ``rates``:
    market seconds a second within each."""

    elapsed: array[float]
    rates: array[float]


class MarketClock:
    """Seconds of market time since the start, one a second on average."""

    __slots__ = ("_begins", "_last", "_rates", "_spans", "_start_ns", "_step_ns")

    def __init__(self, rates: Callable[[int], np.ndarray], steps: int, start_ns: int, step_ns: int) -> None:
        """``rates(number)``: market seconds a second within each step of that block. The last goes on for ever."""
        self._rates, self._start_ns, self._step_ns = rates, start_ns, step_ns
        self._last = steps - 1
        self._begins = [0.0]  # the reading at the beginning of each block, and at the end
        for number in range(blocks_of(steps)):
            self._begins.append(float(self._elapsed(number, rates(number))[-1]))
        self._spans = Blocks(blocks_of(steps), self._span)

    def read(self, at_ns: int) -> float:
        since = max(0, at_ns - self._start_ns)
        step = min(since // self._step_ns, self._last)
        number = step // BLOCK
        elapsed, rates = self._spans.kept[number] or self._spans.make(number)
        within = step - number * BLOCK
        return elapsed[within] + rates[within] * (since - step * self._step_ns) / NS_PER_S

    def when(self, reading: float) -> int:
        """The first nanosecond at which it has reached this."""
        number = min(bisect_right(self._begins, reading) - 1, self._last // BLOCK)
        elapsed, rates = self._spans.kept[number] or self._spans.make(number)
        within = min(bisect_right(elapsed, reading), len(rates)) - 1
        into_ns = (reading - elapsed[within]) / rates[within] * NS_PER_S
        return self._start_ns + (number * BLOCK + within) * self._step_ns + int(into_ns)

    @property
    def total_s(self) -> float:
        """Its reading at the end of the last step."""
        return self._begins[-1]

    def passed_s(self, number: int) -> np.ndarray:
        """How much market time each step of the block is."""
        return np.diff(self._elapsed(number, self._rates(number)))

    def _span(self, number: int) -> _Span:
        rates = self._rates(number)
        return _Span(array("d", self._elapsed(number, rates).tobytes()), array("d", rates.tobytes()))

    def _elapsed(self, number: int, rates: np.ndarray) -> np.ndarray:
        return np.cumsum(np.concatenate(([self._begins[number]], rates * (self._step_ns / NS_PER_S))))


def u_shape(fraction: Fraction, height: float) -> Fraction:
    """Activity at this fraction of the day, with mean one; both ends are ``height`` times the middle."""
    return (1.0 + (height - 1.0) * (2.0 * fraction - 1.0) ** 2) / (1.0 + (height - 1.0) / 3.0)


def market_clock(
    activity: Activity, rng: np.random.Generator, *, start_ns: int, end_ns: int, step_ns: int = NS_PER_S
) -> MarketClock:
    steps = max(1, -(-(end_ns - start_ns) // step_ns))
    blocks = blocks_of(steps)
    wandering = _Wandering(activity, rng, steps, step_ns / NS_PER_S) if activity.volatility else None

    def busyness(number: int) -> np.ndarray:
        step = number * BLOCK + np.arange(steps_in(number, steps))
        shape = u_shape((step + 0.5) / steps, activity.u_shape)
        return shape if wandering is None else shape * wandering.block(number)

    # Days differ in when they are busy, not in how busy they are.
    mean = sum(float(busyness(number).sum()) for number in range(blocks)) / steps if wandering else 1.0
    return MarketClock(lambda number: busyness(number) / mean, steps, start_ns, step_ns)


class _Wandering:
    """Positive with mean one: the exponential of a sum of Ornstein-Uhlenbeck processes, each exact on the grid."""

    def __init__(self, activity: Activity, rng: np.random.Generator, steps: int, step_s: float) -> None:
        self._mean_log = activity.volatility**2 / 2.0
        sigma = activity.volatility / sqrt(len(activity.scales_s))
        self._parts = [_Part(sigma, scale_s, rng, steps=steps, step_s=step_s) for scale_s in activity.scales_s]

    def block(self, number: int) -> np.ndarray:
        total = sum(part.block(number) for part in self._parts)
        return np.asarray(np.exp(total - self._mean_log))


class _Part:
    """One Ornstein-Uhlenbeck process. ``_levels``: before the first step of each block."""

    def __init__(self, sigma: float, scale_s: float, rng: np.random.Generator, *, steps: int, step_s: float) -> None:
        self._keep = exp(-step_s / max(scale_s, _SHORTEST_S))
        self._scale = sigma * sqrt(1.0 - self._keep * self._keep)
        self._shocks = normal_draws(rng, steps)
        self._levels = [sigma * float(rng.standard_normal())]
        for number in range(blocks_of(steps)):
            self._levels.append(float(self.block(number)[-1]))

    def block(self, number: int) -> np.ndarray:
        shocks = self._scale * self._shocks.block(number)
        path, _ = lfilter([1.0], [1.0, -self._keep], shocks, zi=[self._keep * self._levels[number]])
        return np.asarray(path)
