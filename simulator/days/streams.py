"""Random numbers of one trader: its own generator, drawn in blocks because single draws cost more than decisions."""

from __future__ import annotations

from array import array
from math import exp, log

import numpy as np

_BLOCK = 32
_POOL_BYTES = 16  # a shorter seed is filled up with zeros before a spawn key follows


def generator(seed: int, name: str) -> np.random.Generator:
    """Depends on the seed and the name alone, so that adding a trader never changes another one's numbers."""
    # What a sequence makes of a seed with the name as its spawn key; it takes words three times as fast as integers.
    seed_bytes = seed.to_bytes(max(_POOL_BYTES, -(-seed.bit_length() // 32) * 4), "little")
    words = np.frombuffer(seed_bytes, "<u4"), np.frombuffer(name.encode(), np.uint8)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(np.concatenate(words))))


class Stream:
    """Uniform numbers, from which other laws are drawn by inversion; normal ones have a sequence of their own, so that
    neither depends on how many of the other were drawn."""

    __slots__ = ("_generator", "_name", "_normals", "_normals_generator", "_seed", "_uniforms")

    def __init__(self, seed: int, name: str) -> None:
        self._seed, self._name = seed, name
        self._generator = generator(seed, name)
        self._normals_generator: np.random.Generator | None = None
        self._uniforms = array("d")
        self._normals = array("d")

    def uniform(self) -> float:
        """Within (0, 1]."""
        if not self._uniforms:
            self._uniforms = array("d", (1.0 - self._generator.random(_BLOCK)).tobytes())
        return self._uniforms.pop()

    def normal(self) -> float:
        if not self._normals:
            if self._normals_generator is None:
                self._normals_generator = generator(self._seed, f"{self._name} normal")
            self._normals = array("d", self._normals_generator.standard_normal(_BLOCK).tobytes())
        return self._normals.pop()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.uniform()

    def integer(self, low: int, high: int) -> int:
        """Both ends included."""
        return min(high, low + int((1.0 - self.uniform()) * (high - low + 1)))

    def exponential(self, mean: float) -> float:
        if not self._uniforms:
            self._uniforms = array("d", (1.0 - self._generator.random(_BLOCK)).tobytes())
        return -mean * log(self._uniforms.pop())

    def lognormal(self, median: float, sigma: float) -> float:
        return median * exp(sigma * self.normal())

    def pareto(self, least: float, index: float) -> float:
        """P(X > x) = (least / x) ** index."""
        return float(least * self.uniform() ** (-1.0 / index))

    def below(self, chance: float) -> bool:
        return self.uniform() <= chance
