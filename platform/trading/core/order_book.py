"""One symbol's order book: price-time priority over order ids, prices and shares. Nothing else."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeAlias

from trading.core.orders import BUY, SELL, OrderId, Side

# The maker, its price in micro-dollars, the shares that traded, and what is left of the maker afterwards.
Fill: TypeAlias = tuple[OrderId, int, int, int]
Queued: TypeAlias = tuple[OrderId, int, int]  # a resting order, its price and its unfilled shares


class Level:
    """The queue at one price, oldest first: an ordered dict loses its first and any other order in O(1)."""

    __slots__ = ("queue", "shares")

    def __init__(self) -> None:
        self.queue: OrderedDict[OrderId, int] = OrderedDict()  # unfilled shares by order
        self.shares = 0

    def fill(self, quantity: int, price_micros: int, fills: list[Fill]) -> None:
        """Fills ``quantity`` shares, fewer than there are, from the front of the queue."""
        queue = self.queue
        self.shares -= quantity
        while quantity:
            maker_id, leaves = next(iter(queue.items()))
            if leaves > quantity:
                queue[maker_id] = leaves = leaves - quantity
                fills.append((maker_id, price_micros, quantity, leaves))
                return
            del queue[maker_id]
            quantity -= leaves
            fills.append((maker_id, price_micros, leaves, 0))


class BookSide:
    """The levels of one side."""

    __slots__ = ("_levels", "_ranks", "_sign")

    def __init__(self, sign: int) -> None:
        self._levels: dict[int, Level] = {}  # by price; never an empty one
        # A price's rank is its sign times the price: sorted, the best is the last. Most activity is near that end,
        # where a list inserts and deletes cheaply.
        self._ranks: list[int] = []
        self._sign = sign

    def __bool__(self) -> bool:
        return bool(self._ranks)

    def add(self, order_id: OrderId, price_micros: int, shares: int) -> None:
        """Joins the end of the queue at its price."""
        level = self._levels.get(price_micros)
        if level is None:
            level = self._levels[price_micros] = Level()
            insort(self._ranks, self._sign * price_micros)
        level.queue[order_id] = shares
        level.shares += shares

    def remove(self, order_id: OrderId, price_micros: int) -> int:
        """Leaves the queue; returns the unfilled shares. Raises KeyError when it does not rest at this price."""
        level = self._levels[price_micros]
        shares = level.queue.pop(order_id)
        if level.queue:
            level.shares -= shares
        else:
            del self._levels[price_micros]
            del self._ranks[bisect_left(self._ranks, self._sign * price_micros)]
        return shares

    def take(self, quantity: int, limit_price_micros: int | None) -> list[Fill]:
        """Fills up to ``quantity`` shares at the limit or better, best price first; without a limit at any price.

        Orders that are filled have left the book when it returns.
        """
        fills: list[Fill] = []
        ranks, sign = self._ranks, self._sign
        if not ranks:
            return fills
        worst = ranks[0] if limit_price_micros is None else sign * limit_price_micros
        while quantity and ranks and ranks[-1] >= worst:
            price_micros = sign * ranks[-1]
            level = self._levels[price_micros]
            if level.shares > quantity:
                level.fill(quantity, price_micros, fills)
                break
            quantity -= level.shares
            fills += [(maker_id, price_micros, leaves, 0) for maker_id, leaves in level.queue.items()]
            del self._levels[price_micros]
            ranks.pop()
        return fills

    def leaves(self, order_id: OrderId, price_micros: int) -> int:
        """The unfilled shares of an order that rests at this price."""
        return self._levels[price_micros].queue[order_id]

    def cost_of(self, quantity: int) -> int:
        """What taking up to ``quantity`` shares would cost now, in micro-dollars."""
        cost_micros = 0
        for price_micros, shares in self.levels():
            if not quantity:
                break
            taken = min(quantity, shares)
            cost_micros += taken * price_micros
            quantity -= taken
        return cost_micros

    def levels(self) -> Iterator[tuple[int, int]]:
        """(price_micros, shares) of each level, best first."""
        for rank in reversed(self._ranks):
            price_micros = self._sign * rank
            yield price_micros, self._levels[price_micros].shares

    def queue(self) -> Iterator[Queued]:
        """Every resting order, best price first, oldest first."""
        for rank in reversed(self._ranks):
            price_micros = self._sign * rank
            for order_id, shares in self._levels[price_micros].queue.items():
                yield order_id, price_micros, shares


class OrderBook:
    """Both sides of one symbol: an order takes from the opposite side, and what is left of it may join its own."""

    __slots__ = ("asks", "bids", "sides")

    def __init__(self) -> None:
        self.bids = BookSide(+1)
        self.asks = BookSide(-1)
        self.sides = {BUY: (self.bids, self.asks), SELL: (self.asks, self.bids)}  # (own, opposite)

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """(price_micros, shares) of each level of ``side``, best first."""
        return list(self.sides[side][0].levels())

    def queue(self, side: Side) -> Iterator[Queued]:
        """The resting orders of ``side``, best price first, oldest first."""
        return self.sides[side][0].queue()
