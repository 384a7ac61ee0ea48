"""When traders act: each kind of arrival says how long until the next time, from its own state and stream alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Protocol

from simulator.days.clock import MarketClock
from simulator.days.streams import Stream
from trading.core.orders import NS_PER_S

NEVER = -1


class Arrivals(Protocol):
    def next_ns(self, now_ns: int, stream: Stream) -> int:
        """The time of the next one after ``now_ns``; NEVER when there is none."""


class Poisson:
    """Memoryless at a constant rate of calendar time."""

    __slots__ = ("_mean_ns",)

    def __init__(self, rate_per_s: float) -> None:
        self._mean_ns = NS_PER_S / rate_per_s

    def next_ns(self, now_ns: int, stream: Stream) -> int:
        return now_ns + int(stream.exponential(self._mean_ns))


class Intraday:
    """Memoryless in market time, so with the day's U shape and its bursts; exact, as the clock is inverted."""

    __slots__ = ("_clock", "_last_ns", "_mean_s", "_reading")

    def __init__(self, rate_per_s: float, clock: MarketClock) -> None:
        self._mean_s, self._clock = 1.0 / rate_per_s, clock
        self._last_ns, self._reading = -1, 0.0

    def next_ns(self, now_ns: int, stream: Stream) -> int:
        if now_ns != self._last_ns:
            self._reading = self._clock.read(now_ns)
        self._reading += stream.exponential(self._mean_s)
        self._last_ns = self._clock.when(self._reading)
        return self._last_ns


class Hawkes:
    """Each arrival raises the rate by ``jump_per_s``, which decays: λ = base + Σ jump·e^(−decay·t).

    Exact, without thinning: Dassios and Zhao, Exact simulation of Hawkes process with exponentially decaying
    intensity, Electron. Commun. Probab. 18 (2013) no. 62. Subcritical while ``jump_per_s < decay_per_s``.
    """

    __slots__ = ("_base", "_decay", "_excess", "_jump")

    def __init__(self, base_per_s: float, jump_per_s: float, decay_per_s: float) -> None:
        self._base, self._jump, self._decay = base_per_s, jump_per_s, decay_per_s
        self._excess = 0.0

    def next_ns(self, now_ns: int, stream: Stream) -> int:
        return now_ns + int(self.next_s(stream) * NS_PER_S)

    def next_s(self, stream: Stream) -> float:
        """Seconds until the next arrival."""
        first, second = stream.uniform(), stream.uniform()
        pause = stream_exponential(second, self._base)
        if self._excess > 0.0:
            left = 1.0 + self._decay * log(first) / self._excess
            if left > 0.0:
                pause = min(pause, -log(left) / self._decay)
        self._excess = self._excess * exp(-self._decay * pause) + self._jump
        return pause


class Replay:
    """At given times, whatever happens."""

    __slots__ = ("_left",)

    def __init__(self, times_ns: Sequence[int]) -> None:
        self._left = sorted(times_ns, reverse=True)

    def next_ns(self, now_ns: int, stream: Stream) -> int:
        while self._left:
            at_ns = self._left.pop()
            if at_ns >= now_ns:
                return at_ns
        return NEVER


def stream_exponential(uniform: float, rate_per_s: float) -> float:
    return -log(uniform) / rate_per_s
