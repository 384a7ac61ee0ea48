"""Retail: market orders for a sum of dollars, in fractions of shares, in the direction the day has gone.

Sums are lognormal; most are small (Bartlett, McCrary and O'Hara, A fractional solution to a stock market mystery,
2022). Barber and Odean, All that glitters, Rev. Financ. Stud. 21 (2008) 785, on buying what moves.
"""

from __future__ import annotations

from typing import Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Chance, Group, Positive, Sigma
from trading.core.orders import (
    BUY,
    MAX_ORDER_VALUE_MICROS,
    MICROS_PER_DOLLAR,
    SELL,
    OrderType,
    Side,
    SpecialTerms,
    TimeInForce,
)


class RetailGroup(Group):
    """``follow``: how often it goes with the day's move rather than at random."""

    kind: Literal["retail"]
    median_dollars: Positive = 400.0
    size_sigma: Sigma = 1.1
    follow: Chance = 0.2

    def trader(self, desk: Desk) -> Retail:
        return Retail(self)


class Retail:
    in_calls = False

    def __init__(self, options: RetailGroup) -> None:
        self._options = options

    def act(self, desk: Desk) -> None:
        options, stream = self._options, desk.stream
        follows, up = stream.below(options.follow), stream.below(0.5)
        cents = max(100, int(100 * stream.lognormal(options.median_dollars, options.size_sigma)))
        cents = min(cents, MAX_ORDER_VALUE_MICROS // (MICROS_PER_DOLLAR // 100))
        if follows:
            up = desk.quote().last_micros >= desk.listing.instrument.reference_price_micros
        side: Side = BUY if up else SELL
        special = SpecialTerms(notional_micros=cents * MICROS_PER_DOLLAR // 100)
        desk.place(side, 0, OrderType.MARKET, TimeInForce.DAY, special=special)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        pass
