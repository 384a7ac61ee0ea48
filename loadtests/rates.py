"""A rate over a stretch of time: how much arrives within it, and when that much has."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, inf, pi, sin
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Segment(Protocol):
    """``mass`` is the rate's integral over ``seconds``; ``when`` its inverse, for many masses at once.

    Times are in seconds from the segment's begin.
    """

    @property
    def seconds(self) -> float: ...

    @property
    def mass(self) -> float: ...

    def when(self, masses: NDArray[np.float64]) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class Linear:
    """Evenly from one rate to another; one without end keeps its rate."""

    seconds: float
    from_per_s: float
    to_per_s: float

    @property
    def mass(self) -> float:
        if self.seconds == inf:
            return inf if self.from_per_s > 0 else 0.0
        return self.seconds * (self.from_per_s + self.to_per_s) / 2

    def when(self, masses: NDArray[np.float64]) -> NDArray[np.float64]:
        if not len(masses):
            return masses  # all that there is at a rate of zero
        if self.from_per_s == self.to_per_s or self.seconds == inf:
            return masses / self.from_per_s
        slope = (self.to_per_s - self.from_per_s) / self.seconds
        # The root of slope/2·t² + from·t = mass, in the form that loses no digits when the slope is small.
        roots = self.from_per_s + np.sqrt(np.maximum(0.0, self.from_per_s**2 + 2 * slope * masses))
        return np.divide(2 * masses, roots, out=np.zeros_like(masses), where=masses > 0)


@dataclass(frozen=True, slots=True)
class Wave:
    """One period of a sine around ``mean_per_s``, beginning on its way up."""

    seconds: float
    mean_per_s: float
    amplitude_per_s: float

    @property
    def mass(self) -> float:
        return self.seconds * self.mean_per_s

    def when(self, masses: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([self._when(mass) for mass in masses.tolist()])

    def _when(self, mass: float) -> float:
        """Newton's steps, halved into the bracket whenever they leave it; the rate may touch zero."""
        turn = 2 * pi / self.seconds
        low, high, at = 0.0, self.seconds, mass / self.mean_per_s
        while high - low > 1e-10:
            surplus = self.mean_per_s * at + self.amplitude_per_s / turn * (1 - cos(turn * at)) - mass
            if abs(surplus) < 1e-9 * self.mean_per_s:
                break
            low, high = (low, at) if surplus > 0 else (at, high)
            rate = self.mean_per_s + self.amplitude_per_s * sin(turn * at)
            step = at - surplus / rate if rate > 0 else low
            at = step if low < step < high else (low + high) / 2
        return at
