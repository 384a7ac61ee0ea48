"""Zero intelligence: one side's limit orders, market orders and cancellations, each memoryless; nothing is thought.

With rates by distance it is Cont, Stoikov and Talreja, A stochastic model for order book dynamics, Oper. Res. 58 (2010)
549 (their Tokyo figures are the defaults); with one rate for every distance, Smith, Farmer, Gillemot and Krishnamurthy,
Statistical theory of the continuous double auction, Quantitative Finance 3 (2003) 481 (Daniels et al., Phys. Rev. Lett.
90 (2003) 108102). A market needs two of them, a buyer and a seller, as an account does not trade with itself.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field, model_validator

from simulator.days.desk import Change, Desk, Order
from simulator.days.listing import Quote
from simulator.days.model import MOST_PER_S, ArrivalWords, Group, IntradayArrivals, Rate, Shares
from simulator.days.streams import Stream
from trading.core.orders import BUY, NS_PER_S, Side

Rates = Annotated[tuple[Annotated[float, Field(ge=0, le=MOST_PER_S)], ...], Field(min_length=1)]


class ZeroIntelligenceGroup(Group):
    """Rates per second. ``limit_rates[i]``: at i + 1 ticks from the other side's best price; ``cancel_rates[i]``: of
    each order at that distance, the last for all farther ones. Every order is of ``order_shares``."""

    kind: Literal["zero_intelligence"]
    side: Side
    market_rate: Rate = 0.94
    limit_rates: Rates = (1.85, 1.51, 1.09, 0.88, 0.77)
    cancel_rates: Rates = (0.71, 0.81, 0.68, 0.56, 0.47)
    order_shares: Shares = 100
    arrivals: ArrivalWords = IntradayArrivals(kind="intraday", per_hour=1.0)

    @model_validator(mode="after")
    def _some_limit_orders(self) -> ZeroIntelligenceGroup:
        if not sum(self.limit_rates):
            raise ValueError("limit_rates are all 0: nothing would ever rest")
        return self

    def trader(self, desk: Desk) -> ZeroIntelligence:
        trader = ZeroIntelligence(self)
        desk.arrivals = trader
        return trader


class ZeroIntelligence:
    """It is its own arrivals: the next of its events comes at the sum of all their rates, as the book is now."""

    in_calls = False

    def __init__(self, options: ZeroIntelligenceGroup) -> None:
        self._options = options
        self._limits = list(accumulate(options.limit_rates))
        self._ceiling = max(options.cancel_rates)
        self._live: list[Order] = []
        self.side = options.side

    def next_ns(self, now_ns: int, stream: Stream) -> int:
        total = self._limits[-1] + self._options.market_rate + self._ceiling * len(self._live)
        return now_ns + max(1, int(stream.exponential(NS_PER_S / total)))

    def act(self, desk: Desk) -> None:
        """One event: what kind is decided by the rates. Cancellations are drawn at the highest rate and thinned."""
        options, stream = self._options, desk.stream
        draw = stream.uniform() * (self._limits[-1] + options.market_rate + self._ceiling * len(self._live))
        self._choose(desk, draw, desk.quote())
        self._live = [order for order in self._live if order.number in desk.orders]

    def _choose(self, desk: Desk, draw: float, quote: Quote) -> None:
        options = self._options
        if draw <= self._limits[-1]:
            self._rest(desk, bisect_left(self._limits, draw) + 1, quote.touch(self.side))
        elif draw <= self._limits[-1] + options.market_rate:
            if quote.touch(self.side) is not None:
                desk.market(self.side, options.order_shares)
        elif self._live:
            self._withdraw(desk, quote.touch(self.side))

    def _rest(self, desk: Desk, distance: int, opposite: int | None) -> None:
        tick = desk.listing.tick_micros
        sign = -1 if self.side is BUY else 1
        if opposite is None:
            opposite = desk.listing.instrument.reference_price_micros - sign * tick
        order = desk.limit(self.side, self._options.order_shares, opposite + sign * distance * tick)
        if order is not None:
            self._live.append(order)

    def _withdraw(self, desk: Desk, opposite: int | None) -> None:
        options = self._options
        order = self._live[desk.stream.integer(0, len(self._live) - 1)]
        if order.number not in desk.orders:  # it was filled since the rates were added up
            return
        distance = 1
        if opposite is not None and order.limit_micros is not None:
            distance = abs(opposite - order.limit_micros) // desk.listing.tick_micros
        rate = options.cancel_rates[min(max(distance, 1), len(options.cancel_rates)) - 1]
        if desk.stream.below(rate / self._ceiling):
            desk.cancel(order)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        pass
