"""One symbol's order book: open orders by price-time priority. It knows neither accounts' money nor events."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeAlias

from trading.core.events import OrderAccepted
from trading.core.orders import OrderId, Side


class Order:
    """A resting order: what was accepted, its price and its unfilled shares. Only its book changes it."""

    __slots__ = ("accepted", "leaves", "price_micros")

    def __init__(self, accepted: OrderAccepted, price_micros: int, leaves: int) -> None:
        self.accepted = accepted
        self.price_micros = price_micros
        self.leaves = leaves


Fill: TypeAlias = tuple[Order, int]  # the maker and the shares that traded, at the maker's price


class Level:
    """The queue at one price, oldest first. An ordered dict takes from the front and from the middle in O(1)."""

    __slots__ = ("orders", "shares")

    def __init__(self) -> None:
        self.orders: OrderedDict[OrderId, Order] = OrderedDict()
        self.shares = 0

    def fill(self, quantity: int, fills: list[Fill]) -> int:
        """Fills up to ``quantity`` shares from the front of the queue; returns what it could not fill."""
        orders = self.orders
        while quantity and orders:
            order_id, maker = next(iter(orders.items()))
            filled = min(quantity, maker.leaves)
            maker.leaves -= filled
            self.shares -= filled
            quantity -= filled
            fills.append((maker, filled))
            if not maker.leaves:
                del orders[order_id]
        return quantity


class BookSide:
    """The levels of one side. A price's rank is its sign times the price, so that the best rank is the greatest."""

    __slots__ = ("levels", "ranks", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: dict[int, Level] = {}  # by rank; never an empty one
        # Sorted, best last. Most activity is near the end, where a list inserts and deletes cheaply.
        self.ranks: list[int] = []

    def add(self, order: Order) -> None:
        rank = self.sign * order.price_micros
        level = self.levels.get(rank)
        if level is None:
            level = self.levels[rank] = Level()
            insort(self.ranks, rank)
        level.orders[order.accepted.order_id] = order
        level.shares += order.leaves

    def remove(self, order: Order) -> None:
        rank = self.sign * order.price_micros
        level = self.levels[rank]
        del level.orders[order.accepted.order_id]
        level.shares -= order.leaves
        if not level.orders:
            del self.levels[rank]
            del self.ranks[bisect_left(self.ranks, rank)]

    def take(self, quantity: int, limit_price_micros: int | None) -> list[Fill]:
        """Fills up to ``quantity`` shares at the limit or better, best price first; without a limit at any price."""
        fills: list[Fill] = []
        ranks = self.ranks
        if not ranks:
            return fills
        worst = ranks[0] if limit_price_micros is None else self.sign * limit_price_micros
        while quantity and ranks and (rank := ranks[-1]) >= worst:
            level = self.levels[rank]
            quantity = level.fill(quantity, fills)
            if not level.orders:
                del self.levels[rank]
                ranks.pop()
        return fills

    def cost_of(self, quantity: int) -> int:
        """What taking up to ``quantity`` shares would cost now, in micro-dollars."""
        cost = 0
        for price_micros, shares in self.depth():
            if not quantity:
                break
            taken = min(quantity, shares)
            cost += taken * price_micros
            quantity -= taken
        return cost

    def depth(self) -> Iterator[tuple[int, int]]:
        """(price_micros, shares) of each level, best first."""
        for rank in reversed(self.ranks):
            yield self.sign * rank, self.levels[rank].shares

    def queue(self) -> Iterator[Order]:
        """Every order, best price first, oldest first."""
        for rank in reversed(self.ranks):
            yield from self.levels[rank].orders.values()


class OrderBook:
    """Both sides of one symbol. A side's orders trade against the other side; what is left of them may rest."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(+1)
        self.asks = BookSide(-1)

    def side(self, side: Side) -> BookSide:
        return self.bids if side is Side.BUY else self.asks

    def opposite(self, side: Side) -> BookSide:
        return self.asks if side is Side.BUY else self.bids

    def match(self, side: Side, quantity: int, limit_price_micros: int | None) -> list[Fill]:
        """Executes an incoming order of ``side``; filled makers have left the book when it returns."""
        opposite = self.asks if side is Side.BUY else self.bids
        return opposite.take(quantity, limit_price_micros)

    def rest(self, order: Order) -> None:
        self.side(order.accepted.side).add(order)

    def remove(self, order: Order) -> None:
        self.side(order.accepted.side).remove(order)

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """(price_micros, shares) of each level of ``side``, best first."""
        return list(self.side(side).depth())

    def orders(self, side: Side) -> Iterator[Order]:
        return self.side(side).queue()
