"""A momentum trader: buys what has risen and sells what has fallen, and lets go when it has enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from simulator.market.intents import Intent, Look, Place, View, on_grid
from trading.core.orders import Side, TimeInForce


@dataclass(frozen=True, slots=True)
class MomentumOptions:
    """Compares the mean of the last ``short`` trade prices with that of the last ``long`` ones."""

    rate_per_s: float = 2.0
    short: int = 5
    long: int = 25
    trigger_ticks: float = 0.5
    reach_ticks: int = 4
    max_shares: int = 50
    max_inventory: int = 1_000
    look: float = 0.2


@dataclass(slots=True)
class Momentum:
    options: MomentumOptions = field(default_factory=MomentumOptions)

    def pause_s(self, rng: np.random.Generator) -> float:
        return float(rng.exponential(1 / self.options.rate_per_s))

    def decide(self, view: View, rng: np.random.Generator) -> Iterator[Intent]:
        options = self.options
        quantity = int(rng.integers(1, options.max_shares + 1))
        if rng.random() < options.look:
            yield Look()
        side = self._side(view)
        if side is not None:
            reach = options.reach_ticks * view.tick_micros * (1 if side is Side.BUY else -1)
            price = on_grid(view.last_price_micros + reach, view.tick_micros)
            yield Place(side, quantity, price, TimeInForce.IOC)

    def _side(self, view: View) -> Side | None:
        options = self.options
        if abs(view.inventory) >= options.max_inventory:
            return Side.SELL if view.inventory > 0 else Side.BUY
        if len(view.prints) < options.long:
            return None
        trend = _mean(view.prints[-options.short :]) - _mean(view.prints[-options.long :])
        if abs(trend) < options.trigger_ticks * view.tick_micros:
            return None
        return Side.BUY if trend > 0 else Side.SELL


def _mean(prices: Sequence[int]) -> float:
    return sum(prices) / len(prices)
