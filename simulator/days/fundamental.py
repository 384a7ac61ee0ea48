"""What an asset is worth, whatever it trades at: a random walk in market time, with jumps, perhaps in common.

Traders see it through noise of their own. A day's news moves it at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log, sqrt

import numpy as np

from simulator.days.clock import MarketClock
from trading.core.orders import NS_PER_S


@dataclass(frozen=True, slots=True)
class Worth:
    """``volatility``: of the logarithm over a day's market time; ``drift``: of the logarithm over the day.

    ``jumps_per_day`` of normal size with deviation ``jump`` come at random. ``common`` is the share of the variance
    that all symbols of the day have together.
    """

    volatility: float = 0.015
    drift: float = 0.0
    jumps_per_day: float = 0.0
    jump: float = 0.0
    common: float = 0.0


@dataclass(slots=True)
class Fundamental:
    """The path of one symbol, as logarithms on the clock's grid; ``news`` are (at_ns, change of the logarithm)."""

    path: list[float]
    start_ns: int
    step_ns: int
    news: list[tuple[int, float]] = field(default_factory=list)

    def micros(self, at_ns: int) -> float:
        """What a share is worth, in micro-dollars."""
        step = max(0, at_ns - self.start_ns) // self.step_ns
        value = self.path[step if step < len(self.path) else -1]
        for news_ns, change in self.news:
            if news_ns <= at_ns:
                value += change
        return exp(value)


def common_shocks(rng: np.random.Generator, steps: int) -> np.ndarray:
    return rng.standard_normal(steps)


def fundamental(
    worth: Worth,
    first_micros: int,
    clock: MarketClock,
    *,
    rng: np.random.Generator,
    common: np.ndarray,
    start_ns: int,
    step_ns: int = NS_PER_S,
) -> Fundamental:
    """``common``: a standard normal number for each step, the same for every symbol."""
    steps = len(common)
    readings = np.array([clock.read(start_ns + step * step_ns) for step in range(steps + 1)])
    passed = np.diff(readings)
    fraction = passed / max(readings[-1], 1e-9)
    own = rng.standard_normal(steps)
    shocks = sqrt(worth.common) * common + sqrt(1.0 - worth.common) * own
    moves = worth.volatility * np.sqrt(fraction) * shocks + worth.drift * fraction
    jumps = rng.poisson(worth.jumps_per_day * fraction) if worth.jumps_per_day else np.zeros(steps)
    moves += worth.jump * np.sqrt(jumps) * rng.standard_normal(steps)
    path = log(first_micros) + np.concatenate(([0.0], np.cumsum(moves)))
    return Fundamental(path.tolist(), start_ns, step_ns)
