"""A herd with stop-losses: each holds shares and leaves a stop below the market, so a fall that begins feeds itself.

Osler, Stop-loss orders and price cascades in currency markets, J. Int. Money Finance 24 (2005) 219.
"""

from __future__ import annotations

from typing import Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Group, Positive
from trading.core.orders import MICROS_PER_SHARE, SELL, OrderType, SpecialTerms, TimeInForce


class StopLossGroup(Group):
    """Stops lie between ``nearest_pct`` and ``farthest_pct`` below the price at which they are placed, and sell
    ``fraction`` of what the trader has. When its stop has sold, it watches."""

    kind: Literal["stop_loss"]
    nearest_pct: Positive = 1.0
    farthest_pct: Positive = 6.0
    fraction: Positive = 0.5

    def trader(self, desk: Desk) -> StopLoss:
        return StopLoss(self)


class StopLoss:
    in_calls = False

    def __init__(self, options: StopLossGroup) -> None:
        self._options = options
        self.stopped = False

    def act(self, desk: Desk) -> None:
        if desk.orders or self.stopped:
            return
        options, tick = self._options, desk.listing.tick_micros
        below_pct = desk.stream.between(options.nearest_pct, options.farthest_pct)
        stop = int(desk.quote().last_micros * (1 - below_pct / 100)) // tick * tick
        shares = int(desk.shares * min(1.0, options.fraction))
        if shares and stop >= tick:
            special = SpecialTerms(stop_price_micros=stop)
            desk.place(SELL, shares * MICROS_PER_SHARE, OrderType.STOP, TimeInForce.DAY, special=special)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        if change is Change.FILLED:
            self.stopped = True
