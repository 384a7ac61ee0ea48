"""What an asset is worth, whatever it trades at: a random walk in market time, with jumps, perhaps in common.

Traders see it through noise of their own. A day's news moves it at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import exp, log, sqrt

import numpy as np

from simulator.days.clock import MarketClock
from simulator.days.grid import BLOCK, Blocks, Draws, blocks_of, normal_draws
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


class Fundamental:
    """The path of one symbol, on the grid of its clock; ``news`` are (at_ns, change of the logarithm)."""

    __slots__ = ("_last", "_paths", "_start_ns", "_step_ns", "news")

    def __init__(self, path: Callable[[int], np.ndarray], steps: int, start_ns: int, step_ns: int) -> None:
        """``path(number)``: the logarithm of the worth at the beginning of each step of that block, and at its end."""
        self._paths = Blocks(blocks_of(steps), lambda number: array("d", path(number).tobytes()))
        self._start_ns, self._step_ns, self._last = start_ns, step_ns, steps - 1
        self.news: list[tuple[int, float]] = []

    def micros(self, at_ns: int) -> float:
        """What a share is worth, in micro-dollars."""
        step = min(max(0, at_ns - self._start_ns) // self._step_ns, self._last + 1)
        number = min(step, self._last) // BLOCK
        value = (self._paths.kept[number] or self._paths.make(number))[step - number * BLOCK]
        for news_ns, change in self.news:
            if news_ns <= at_ns:
                value += change
        return exp(value)


def fundamental(
    worth: Worth,
    first_micros: int,
    clock: MarketClock,
    *,
    rng: np.random.Generator,
    common: Draws,
    steps: int,
    start_ns: int,
    step_ns: int = NS_PER_S,
) -> Fundamental:
    """``common``: a standard normal number for each step, the same for every symbol."""

    def fraction(number: int) -> np.ndarray:
        return clock.passed_s(number) / clock.total_s

    own = normal_draws(rng, steps)
    blocks = blocks_of(steps)
    jumps = (
        Draws(rng, blocks, lambda again, number: again.poisson(worth.jumps_per_day * fraction(number)))
        if worth.jumps_per_day
        else None
    )
    sizes = normal_draws(rng, steps)

    def moves(number: int) -> np.ndarray:
        shocks = sqrt(worth.common) * common.block(number) + sqrt(1.0 - worth.common) * own.block(number)
        part = fraction(number)
        changes: np.ndarray = worth.volatility * np.sqrt(part) * shocks + worth.drift * part
        if jumps is not None:
            changes += worth.jump * np.sqrt(jumps.block(number)) * sizes.block(number)
        return changes

    begins = list(accumulate((float(moves(number).sum()) for number in range(blocks)), initial=log(first_micros)))

    def path(number: int) -> np.ndarray:
        return begins[number] + np.concatenate(([0.0], np.cumsum(moves(number))))

    return Fundamental(path, steps, start_ns, step_ns)
