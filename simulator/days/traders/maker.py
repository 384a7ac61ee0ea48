"""Market makers: quote on both sides of a price that leans against the inventory.

Avellaneda and Stoikov, High-frequency trading in a limit order book, Quantitative Finance 8 (2008) 217, over a sliding
horizon: reservation price r = s − q·γ·σ²·T, total spread γ·σ²·T + (2/γ)·ln(1 + γ/k).
"""

from __future__ import annotations

from math import log
from typing import Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Group, Levels, Positive, Shares, Sigma
from trading.core.orders import BUY, MICROS_PER_SHARE, SELL, Side


class MakerGroup(Group):
    """Prices in ticks, inventory in units of ``unit_shares``: ``gamma`` per tick and unit, ``sigma_ticks`` per root
    second, ``k`` per tick. It knows the worth with an error of ``error_ticks``, quotes ``levels`` a tick apart,
    lets an order stand while it is within ``tolerance_ticks``, and at ``max_units`` quotes only what brings it back.
    """

    kind: Literal["maker"]
    gamma: Positive = 0.05
    sigma_ticks: Positive = 1.2
    horizon_s: Positive = 10.0
    k: Positive = 1.5
    unit_shares: Shares = 500
    max_units: Positive = 20.0
    quote_shares: Shares = 300
    size_sigma: Sigma = 0.6
    levels: Levels = 2
    error_ticks: Positive = 0.3
    tolerance_ticks: Positive = 0.75

    def trader(self, desk: Desk) -> Maker:
        return Maker(self)


class Maker:
    in_calls = True

    def __init__(self, options: MakerGroup) -> None:
        self._options = options
        variance = options.sigma_ticks**2 * options.horizon_s
        self._lean = options.gamma * variance
        self._half_spread = options.gamma * variance / 2 + log(1 + options.gamma / options.k) / options.gamma
        self._net = 0

    def quotes(self, fair_ticks: float, units: float) -> tuple[float, float]:
        """(bid, ask) in ticks at this inventory."""
        middle = fair_ticks - units * self._lean
        return middle - self._half_spread, middle + self._half_spread

    def act(self, desk: Desk) -> None:
        options, tick = self._options, desk.listing.tick_micros
        fair = desk.worth_micros() / tick + options.error_ticks * desk.stream.normal()
        units = self._net / (options.unit_shares * MICROS_PER_SHARE)
        bid, ask = self.quotes(fair, units)
        bids = self._withdraw(desk, BUY, bid, may=units < options.max_units)
        asks = self._withdraw(desk, SELL, ask, may=units > -options.max_units)
        side: Side
        for side, missing in ((BUY, bids), (SELL, asks)):
            for wanted in missing:
                shares = max(1, int(desk.stream.lognormal(options.quote_shares, options.size_sigma)))
                desk.limit(side, shares, wanted * tick)

    def _withdraw(self, desk: Desk, side: Side, price_ticks: float, *, may: bool) -> list[float]:
        """Keeps what is near enough to its level and withdraws the rest; returns what is missing.

        Both sides are withdrawn before either is quoted: an account does not trade with itself.
        """
        options, tick = self._options, desk.listing.tick_micros
        down = -1.0 if side is BUY else 1.0
        free = desk.working(side)
        missing = []
        for level in range(options.levels if may else 0):
            wanted = price_ticks + down * level
            near = next((order for order in free if self._serves(order, wanted, tick)), None)
            if near is None:
                missing.append(wanted)
            else:
                free.remove(near)
        for order in free:
            desk.cancel(order)
        return missing

    def _serves(self, order: Order, wanted_ticks: float, tick: int) -> bool:
        """Near its price, and not yet worn down."""
        assert order.limit_micros is not None
        off = abs(order.limit_micros / tick - wanted_ticks)
        return off <= self._options.tolerance_ticks and order.leaves * 3 >= order.quantity

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        if change is Change.FILLED:
            self._net += quantity if order.side is BUY else -quantity
