"""Answers that are known exactly, for markets simple enough to have them.

Cont, Stoikov and Talreja (Oper. Res. 58 (2010) 549): with memoryless flow each queue at the best prices is a
birth-death process, and what happens first follows from the Laplace transforms of their first-passage times.
Transforms are inverted by the Euler method of Abate and Whitt (ORSA J. Computing 7 (1995) 36).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, exp, log, pi

import numpy as np

from simulator.facts.evidence import Floats

Complex = np.ndarray
Transform = Callable[[Complex], Complex]  # of many points at once
_DEEPEST = 80  # orders in a queue beyond which its growth does not matter
_A, _TERMS, _AVERAGED = 18.4, 15, 11
_STEPS = 400


@dataclass(frozen=True, slots=True)
class BestQueue:
    """Orders a second that join the best price, that take from it, and the rate at which each one there is canceled."""

    limit_rate: float
    market_rate: float
    cancel_rate: float

    def death_rate(self, orders: int) -> float:
        return self.market_rate + orders * self.cancel_rate

    def emptied(self, orders: int) -> Transform:
        """The Laplace transform of the density of the time until a queue of this length is empty (their section 3)."""

        def transform(s: Complex) -> Complex:
            down, product = np.zeros_like(s), np.ones_like(s)
            for length in range(max(_DEEPEST, orders), 0, -1):
                death = self.death_rate(length)
                down = death / (self.limit_rate + death + s - self.limit_rate * down)
                if length <= orders:
                    product = product * down
            return product

        return transform

    def reached(self, place: int) -> Transform:
        """Of the time until the order at this place, the first being 1, trades: those before it trade or are canceled,
        it is not."""

        def transform(s: Complex) -> Complex:
            product = np.ones_like(s)
            for ahead in range(place):
                death = self.death_rate(ahead)
                product = product * (death / (death + s))
            return product

        return transform


def invert(transform: Transform, times: Floats) -> Floats:
    """The function whose transform it is, at times above 0."""
    terms = np.arange(_TERMS + _AVERAGED + 1)
    points = (_A + 2j * pi * terms[None, :]) / (2 * times[:, None])
    values = transform(points).real * np.where(terms % 2, -1.0, 1.0)
    values[:, 0] /= 2
    sums = np.cumsum(values, axis=1)[:, _TERMS:]
    weights = np.array([comb(_AVERAGED, k) for k in range(_AVERAGED + 1)]) / 2**_AVERAGED
    return np.asarray(exp(_A / 2) / times * (sums @ weights))


def first(one: Transform, other: Transform) -> float:
    """How probable it is that the time with the first transform is the shorter one. Both must end surely.

    The integral of one's density times the other's tail, over the logarithm of time.
    """
    scale = _mean(one)
    times = np.exp(np.linspace(log(scale * 1e-4), log(scale * 60), _STEPS))
    tail = 1.0 - invert(lambda s: other(s) / s, times)
    return float(np.trapezoid(invert(one, times) * np.clip(tail, 0.0, 1.0) * times, np.log(times)))


def middle_goes_up(bid_orders: int, ask_orders: int, queue: BestQueue) -> float:
    """With a spread of one tick: that the ask is emptied before the bid."""
    return first(queue.emptied(ask_orders), queue.emptied(bid_orders))


def filled_before_it_moves(place: int, opposite_orders: int, queue: BestQueue) -> float:
    """With a spread of one tick: that the order at this place trades before the other side is emptied."""
    return first(queue.reached(place), queue.emptied(opposite_orders))


def mm1_lengths(load: float, longest: int) -> list[float]:
    """How much of the time a queue with memoryless arrivals and service has 0, 1, ... orders (Erlang 1909)."""
    return [(1.0 - load) * load**length for length in range(longest + 1)]


def _mean(transform: Transform) -> float:
    at_zero, beside = transform(np.array([0.0, 1e-6], dtype=complex)).real
    return float(at_zero - beside) / 1e-6
