"""A liquidity provider with a ladder: patient orders far into the book, larger the farther from the middle.

The shape is what books look like on average: depth grows with the distance and then falls again (Bouchaud, Mézard and
Potters, Statistical properties of stock order books, Quantitative Finance 2 (2002) 251).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from simulator.days.desk import Change, Desk, Order
from simulator.days.model import Count, Group, Levels, Positive, Shares, Sigma
from trading.core.orders import BUY, SELL, Side

_SIDES: Final[tuple[tuple[Side, float], ...]] = ((BUY, -1.0), (SELL, 1.0))


class LadderGroup(Group):
    """``levels`` on each side, ``gap_ticks`` apart from ``first_ticks`` on; sizes grow from ``shares_first`` by
    ``growth`` a level up to the hump, and fall after it. An order that is more than ``drift_ticks`` off is moved.
    The middle is what the asset is worth, as of the last look and with an error."""

    kind: Literal["ladder"]
    levels: Levels = 15
    first_ticks: Positive = 2.0
    gap_ticks: Positive = 1.0
    shares_first: Shares = 250
    growth: Positive = 0.3
    hump_level: Count = 8
    drift_ticks: Positive = 3.0
    error_ticks: Positive = 0.5
    size_sigma: Sigma = 0.4

    def trader(self, desk: Desk) -> Ladder:
        return Ladder(self)

    def shares_at(self, level: int) -> float:
        rising = min(level, self.hump_level)
        falling = max(0, level - self.hump_level)
        return self.shares_first * (1 + self.growth * rising) / (1 + self.growth * falling)


class Ladder:
    in_calls = True

    def __init__(self, options: LadderGroup) -> None:
        self._options = options
        self._levels: dict[int, tuple[Side, int]] = {}  # by order number

    def act(self, desk: Desk) -> None:
        tick = desk.listing.tick_micros
        middle = desk.worth_micros() / tick + self._options.error_ticks * desk.stream.normal()
        kept = set(self._keep(desk, middle))
        for level in range(self._options.levels):
            for side, sign in _SIDES:
                if (side, level) not in kept:
                    self._offer(desk, side, level, self._price(middle, sign, level) * tick)

    def _keep(self, desk: Desk, middle: float) -> Iterator[tuple[Side, int]]:
        """What still stands well; the rest is withdrawn, on both sides before either is offered anew."""
        tick = desk.listing.tick_micros
        for side, sign in _SIDES:
            for order in desk.working(side):
                level = self._levels[order.number][1]
                off = abs((order.limit_micros or 0) / tick - self._price(middle, sign, level))
                if off > self._options.drift_ticks:
                    desk.cancel(order)
                else:
                    yield side, level

    def _price(self, middle: float, sign: float, level: int) -> float:
        return middle + sign * (self._options.first_ticks + level * self._options.gap_ticks)

    def _offer(self, desk: Desk, side: Side, level: int, price_micros: float) -> None:
        shares = int(desk.stream.lognormal(self._options.shares_at(level), self._options.size_sigma))
        order = desk.limit(side, max(1, shares), price_micros)
        if order is not None:
            self._levels[order.number] = (side, level)

    def learn(self, desk: Desk, order: Order, change: Change, quantity: int, price_micros: int) -> None:
        if change in (Change.ENDED, Change.REFUSED) or order.leaves <= 0:
            self._levels.pop(order.number, None)
