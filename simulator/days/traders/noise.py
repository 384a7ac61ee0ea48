"""Noise traders: orders without a reason, near the market, on either side.

As in ABIDES' reference market RMSC-4, where a thousand of them act about once a day (Byrd, Hybinette and Balch, ABIDES:
Towards high-fidelity multi-agent market simulation, PADS 2020); the idea is Black's (Noise, J. Finance 41 (1986) 529).
"""

from __future__ import annotations

from typing import Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Chance, Count, Group, Positive, Sigma
from trading.core.orders import BUY, SELL, TimeInForce


class NoiseGroup(Group):
    """``marketable`` of the orders take what is there, the others rest up to ``distance_ticks`` behind the best price.

    Sizes are lognormal around ``median_shares``.
    """

    kind: Literal["noise"]
    marketable: Chance = 0.4
    distance_ticks: Count = 6
    median_shares: Positive = 100.0
    size_sigma: Sigma = 1.0

    def trader(self, _: Desk) -> Noise:
        return Noise(self)


class Noise:
    in_calls = False

    def __init__(self, options: NoiseGroup) -> None:
        self._options = options

    def act(self, desk: Desk) -> None:
        options, stream, quote = self._options, desk.stream, desk.quote()
        side = BUY if stream.below(0.5) else SELL
        shares = max(1, int(stream.lognormal(options.median_shares, options.size_sigma)))
        takes, distance = stream.below(options.marketable), stream.integer(0, options.distance_ticks)
        for order in desk.working(side):
            desk.cancel(order)
        touch = quote.touch(side)
        if takes and touch is not None:
            desk.limit(side, shares, touch, TimeInForce.IOC)
            return
        own = quote.bid_micros if side is BUY else quote.ask_micros
        away = distance * desk.listing.tick_micros
        price = own if own is not None else quote.last_micros
        desk.limit(side, shares, price - away if side is BUY else price + away)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        pass
