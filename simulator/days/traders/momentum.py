"""Momentum traders: buy while a short average of the price is above a long one, sell while it is below.

The trend followers of ABIDES' reference market; the effect itself: Jegadeesh and Titman, J. Finance 48 (1993) 65.
"""

from __future__ import annotations

from typing import Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Count, Group, Positive, Shares
from trading.core.orders import BUY, MICROS_PER_SHARE, SELL, TimeInForce


class MomentumGroup(Group):
    """Averages are exponential, over ``short`` and ``long`` looks; ``max_shares``: how far from where it began."""

    kind: Literal["momentum"]
    short: Count = 20
    long: Count = 50
    trigger_ticks: Positive = 1.0
    order_shares: Shares = 50
    max_shares: Shares = 2_000

    def trader(self, desk: Desk) -> Momentum:
        return Momentum(self)


class Momentum:
    in_calls = False

    def __init__(self, options: MomentumGroup) -> None:
        self._options = options
        self._short = self._long = 0.0
        self._looks = 0
        self._net = 0

    def act(self, desk: Desk) -> None:
        options, quote = self._options, desk.quote()
        mid = quote.mid_micros
        if not self._looks:
            self._short = self._long = mid
        self._looks += 1
        self._short += (mid - self._short) * 2 / (options.short + 1)
        self._long += (mid - self._long) * 2 / (options.long + 1)
        trend = self._short - self._long
        if self._looks < options.long or abs(trend) < options.trigger_ticks * desk.listing.tick_micros:
            return
        side = BUY if trend > 0 else SELL
        touch, held = quote.touch(side), self._net / MICROS_PER_SHARE
        if touch is not None and (held if side is BUY else -held) < options.max_shares:
            desk.limit(side, options.order_shares, touch, TimeInForce.IOC)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        if change is Change.FILLED:
            self._net += quantity if order.side is BUY else -quantity
