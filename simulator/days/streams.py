"""Random numbers of one trader: its own generator, drawn in blocks because single draws cost more than decisions."""

from __future__ import annotations

from math import cos, exp, log, pi, sqrt

import numpy as np

_BLOCK = 32


def generator(seed: int, name: str) -> np.random.Generator:
    """Depends on the seed and the name alone, so that adding a trader never changes another one's numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(name.encode())))


class Stream:
    """Draws by inversion from one sequence of uniform numbers."""

    __slots__ = ("_block", "_generator")

    def __init__(self, seed: int, name: str) -> None:
        self._generator = generator(seed, name)
        self._block: list[float] = []

    def uniform(self) -> float:
        """Within (0, 1]."""
        if not self._block:
            self._block = (1.0 - self._generator.random(_BLOCK)).tolist()
        return self._block.pop()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.uniform()

    def integer(self, low: int, high: int) -> int:
        """Both ends included."""
        return min(high, low + int((1.0 - self.uniform()) * (high - low + 1)))

    def exponential(self, mean: float) -> float:
        return -mean * log(self.uniform())

    def normal(self) -> float:
        """By Box and Muller, one of the pair."""
        return sqrt(-2.0 * log(self.uniform())) * cos(2.0 * pi * self.uniform())

    def lognormal(self, median: float, sigma: float) -> float:
        return median * exp(sigma * self.normal())

    def pareto(self, least: float, index: float) -> float:
        """P(X > x) = (least / x) ** index."""
        return float(least * self.uniform() ** (-1.0 / index))

    def below(self, chance: float) -> bool:
        return self.uniform() <= chance
