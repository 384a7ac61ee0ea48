"""A noise trader: orders without a reason, at Poisson times, leaning against its own inventory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from simulator.market.intents import Cancel, Intent, Look, Place, View, on_grid
from trading.core.orders import Side, TimeInForce


@dataclass(frozen=True, slots=True)
class NoiseOptions:
    """Shares of decisions: ``passive`` rest near the last price, ``marketable`` cross it, ``market`` take anything;
    the others withdraw an order."""

    rate_per_s: float = 6.0
    passive: float = 0.5
    marketable: float = 0.25
    market: float = 0.1
    look: float = 0.1
    max_shares: int = 40
    max_distance_ticks: int = 8
    max_working: int = 15
    max_inventory: int = 2_000


@dataclass(slots=True)
class Noise:
    options: NoiseOptions = field(default_factory=NoiseOptions)

    def pause_s(self, rng: np.random.Generator) -> float:
        return float(rng.exponential(1 / self.options.rate_per_s))

    def decide(self, view: View, rng: np.random.Generator) -> Iterator[Intent]:
        options = self.options
        flow, lean, glance, choice = rng.random(4).tolist()
        quantity = int(rng.integers(1, options.max_shares + 1))
        distance = int(rng.integers(1, options.max_distance_ticks + 1)) * view.tick_micros
        side = Side.BUY if lean < 0.5 - 0.5 * view.inventory / options.max_inventory else Side.SELL
        away = -distance if side is Side.BUY else distance
        if glance < options.look:
            yield Look()
        if flow >= options.passive + options.marketable + options.market or len(view.working) >= options.max_working:
            if view.working:
                yield Cancel(view.working[int(choice * len(view.working))].client_order_id)
        elif flow < options.passive:
            yield Place(side, quantity, on_grid(view.last_price_micros + away, view.tick_micros))
        elif flow < options.passive + options.marketable:
            price = on_grid(view.last_price_micros - away, view.tick_micros)
            yield Place(side, quantity, price, TimeInForce.IOC)
        else:
            yield Place(side, quantity, None)
