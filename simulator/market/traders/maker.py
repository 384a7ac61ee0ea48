"""A market maker: a ladder on both sides of a fair value that wanders around the reference price.

It shades its prices against its inventory, and at the limit quotes only the side that reduces it (the idea of
Avellaneda and Stoikov, High-frequency trading in a limit order book, 2008, with a linear skew).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from simulator.market.intents import Cancel, Intent, Look, Place, View, WorkingOrder, on_grid
from trading.core.orders import Side


@dataclass(frozen=True, slots=True)
class MakerOptions:
    """Distances in ticks, sizes in shares. The fair value reverts by ``reversion`` of its distance each cycle."""

    cycle_s: float = 0.4
    levels: int = 3
    level_shares: int = 200
    half_spread_ticks: float = 2.0
    level_gap_ticks: float = 2.0
    tolerance_ticks: float = 1.0
    volatility_ticks: float = 1.6
    reversion: float = 0.02
    max_inventory: int = 3_000
    max_skew_ticks: float = 4.0


@dataclass(slots=True)
class Maker:
    options: MakerOptions = field(default_factory=MakerOptions)
    fair_ticks: float = 0.0  # from the reference price

    def pause_s(self, rng: np.random.Generator) -> float:
        return self.options.cycle_s * rng.uniform(0.9, 1.1)

    def decide(self, view: View, rng: np.random.Generator) -> Iterator[Intent]:
        """Waits while answers to the last cycle are missing: quoting on would pile ladder on ladder."""
        options = self.options
        self.fair_ticks += options.volatility_ticks * rng.standard_normal() - options.reversion * self.fair_ticks
        if view.under_way:
            return
        yield Look()
        free = {order.client_order_id: order for order in view.working}
        missing = []
        for side, price in self._ladder(view):
            kept = self._matching(free, side, price, view.tick_micros)
            if kept is None:
                missing.append(Place(side, options.level_shares, price))
            else:
                del free[kept.client_order_id]
        yield from (Cancel(client_order_id) for client_order_id in free)
        yield from missing

    def _ladder(self, view: View) -> Iterator[tuple[Side, int]]:
        options = self.options
        skew = options.max_skew_ticks * max(-1.0, min(1.0, view.inventory / options.max_inventory))
        middle = view.reference_price_micros + (self.fair_ticks - skew) * view.tick_micros
        for level in range(options.levels):
            distance = (options.half_spread_ticks + level * options.level_gap_ticks) * view.tick_micros
            if view.inventory < options.max_inventory:
                yield Side.BUY, on_grid(middle - distance, view.tick_micros)
            if view.inventory > -options.max_inventory:
                yield Side.SELL, on_grid(middle + distance, view.tick_micros)

    def _matching(self, free: dict[str, WorkingOrder], side: Side, price: int, tick_micros: int) -> WorkingOrder | None:
        """A working order that is near enough to ``price`` and not yet worn down."""
        near = self.options.tolerance_ticks * tick_micros
        return next(
            (
                order
                for order in free.values()
                if order.side is side
                and abs(order.limit_price_micros - price) <= near
                and order.quantity * 2 >= self.options.level_shares
            ),
            None,
        )
