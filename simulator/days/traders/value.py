"""Value traders: they know roughly what the asset is worth, take what is cheap or dear, and else offer around that.

Every one sees the fundamental through an error of its own that reverts slowly, so that they disagree and trade with
each other (compare the value agent of ABIDES, and Chakraborty and Kearns, Market making and mean reversion, EC 2011).
"""

from __future__ import annotations

from math import exp
from typing import Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Count, Group, Positive, Seconds, Sigma
from trading.core.orders import BUY, NS_PER_S, SELL, Phase, Side, TimeInForce

_REACH = 0.0005  # how far beyond the best price it takes


class ValueGroup(Group):
    """``error_bp``: deviation of what a trader believes; it forgets its error over ``memory_s``.

    It takes only with a gain of at least ``edge_bp``, and else offers that far from its own value.
    """

    kind: Literal["value"]
    error_bp: Positive = 3.0
    memory_s: Seconds = 600.0
    edge_bp: Positive = 1.5
    median_shares: Positive = 40.0
    size_sigma: Sigma = 0.7
    max_working: Count = 2

    def trader(self, _: Desk) -> Value:
        return Value(self)


class Value:
    in_calls = True

    def __init__(self, options: ValueGroup) -> None:
        self._options = options
        self._error = 0.0  # in standard deviations
        self._seen_ns = -1

    def act(self, desk: Desk) -> None:
        options, stream = self._options, desk.stream
        value = self._believed(desk)
        edge = value * options.edge_bp * 1e-4
        shares = max(1, int(stream.lognormal(options.median_shares, options.size_sigma)))
        side: Side = BUY if stream.below(0.5) else SELL
        quote = desk.quote()
        for order in list(desk.orders.values())[: 1 - options.max_working or None]:
            desk.cancel(order)
        ask, bid = quote.ask_micros, quote.bid_micros
        if desk.listing.phase is not Phase.CONTINUOUS:
            desk.limit(side, shares, value - edge if side is BUY else value + edge)
        elif ask is not None and ask <= value - edge:
            desk.limit(BUY, shares, min(value - edge, ask * (1 + _REACH)), TimeInForce.IOC)
        elif bid is not None and bid >= value + edge:
            desk.limit(SELL, shares, max(value + edge, bid * (1 - _REACH)), TimeInForce.IOC)
        else:
            desk.limit(side, shares, value - edge if side is BUY else value + edge)

    def _believed(self, desk: Desk) -> float:
        now_ns, options = desk.now_ns, self._options
        passed_s = (now_ns - self._seen_ns) / NS_PER_S if self._seen_ns >= 0 else 1e9
        keep = exp(-passed_s / options.memory_s)
        self._error = keep * self._error + (1.0 - keep * keep) ** 0.5 * desk.stream.normal()
        self._seen_ns = now_ns
        return desk.worth_micros() * (1.0 + self._error * options.error_bp * 1e-4)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        pass
