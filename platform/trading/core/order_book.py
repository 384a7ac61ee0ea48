"""One symbol's order book: price-time priority over places, prices and micro-shares. Nothing else."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, TypeAlias

from trading.core.orders import BUY, SELL, Side

# The maker's place, its price in micro-dollars, what traded of it, and what is left of it afterwards.
Fill: TypeAlias = tuple[int, int, int, int]
Queued: TypeAlias = tuple[int, int, int]  # a resting order's place, its price and what is left of it

# A dict is the fastest queue, but it looks for its first key past the gap of every one deleted before it. Gaps go when
# it grows, so that a small dict has few; a large one becomes an OrderedDict, which has none, when it starts to trade.
_LARGE_BYTES: Final = 2_500  # room for about 85 orders


class BookSide:
    """The levels of one side: at each price the places that rest there, oldest first.

    A place is a number that whoever uses the book gives to an order when it joins; places only ever grow.
    """

    __slots__ = ("_levels", "_ranks", "_sign")

    def __init__(self, sign: int) -> None:
        self._levels: dict[int, dict[int, int]] = {}  # by price, never an empty one; leaves by place
        # A price's rank is its sign times the price: sorted, the best is the last. Most activity is near that end,
        # where a list inserts and deletes cheaply.
        self._ranks: list[int] = []
        self._sign = sign

    def __bool__(self) -> bool:
        return bool(self._ranks)

    # -- what rests ----------------------------------------------------------------------------------

    def add(self, place: int, price_micros: int, quantity: int) -> None:
        """Joins the end of the queue at its price."""
        try:
            self._levels[price_micros][place] = quantity
        except KeyError:
            self._levels[price_micros] = {place: quantity}
            insort(self._ranks, self._sign * price_micros)

    def remove(self, place: int, price_micros: int) -> int:
        """Leaves the queue; returns the leaves. Raises KeyError when it does not rest at this price."""
        queue = self._levels[price_micros]
        leaves = queue.pop(place)
        if not queue:
            del self._levels[price_micros]
            del self._ranks[bisect_left(self._ranks, self._sign * price_micros)]
        return leaves

    def reduce(self, place: int, price_micros: int, quantity: int) -> int:
        """Takes ``quantity``, less than its leaves, away from an order that keeps its place; returns what is left."""
        queue = self._levels[price_micros]
        leaves = queue[place] = queue[place] - quantity
        return leaves

    def leaves(self, place: int, price_micros: int) -> int:
        """What is left of the order that rests here. Raises KeyError as ``remove`` does."""
        return self._levels[price_micros][place]

    # -- trading -------------------------------------------------------------------------------------

    def take(self, quantity: int, limit_micros: int) -> list[Fill]:
        """Fills up to ``quantity`` at the limit or better, best price first, oldest first.

        Orders that are filled have left the book when it returns.
        """
        ranks, sign = self._ranks, self._sign
        worst = sign * limit_micros
        if not ranks or ranks[-1] < worst:
            return []
        fills: list[Fill] = []
        while quantity and ranks and ranks[-1] >= worst:
            price_micros = sign * ranks[-1]
            queue = self._front(price_micros)
            earlier = len(fills)
            for place, leaves in queue.items():
                if leaves > quantity:
                    break
                quantity -= leaves
                fills.append((place, price_micros, leaves, 0))
            else:
                del self._levels[price_micros]
                ranks.pop()
                continue
            for filled, _, _, _ in fills[earlier:]:
                del queue[filled]
            if quantity:
                leaves = queue[place] = leaves - quantity
                fills.append((place, price_micros, quantity, leaves))
            break
        return fills

    def fill_first(self, quantity: int) -> Fill:
        """Fills the order that is next, wholly or by ``quantity``. Raises IndexError when there is none."""
        price_micros = self._sign * self._ranks[-1]
        place, leaves = next(iter(self._front(price_micros).items()))
        if leaves > quantity:
            return place, price_micros, quantity, self.reduce(place, price_micros, quantity)
        return place, price_micros, self.remove(place, price_micros), 0

    # -- what can be seen ----------------------------------------------------------------------------

    def best(self) -> int | None:
        """The best price; None when nothing rests here."""
        return self._sign * self._ranks[-1] if self._ranks else None

    def first(self) -> Queued | None:
        """The order that is next to be filled; None when nothing rests here."""
        if not self._ranks:
            return None
        price_micros = self._sign * self._ranks[-1]
        place, leaves = next(iter(self._front(price_micros).items()))
        return place, price_micros, leaves

    def depth(self, limit_micros: int) -> int:
        """How much there is at the limit or better."""
        sign, worst = self._sign, self._sign * limit_micros
        ranks = self._ranks[bisect_left(self._ranks, worst) :]
        return sum(sum(self._levels[sign * rank].values()) for rank in ranks)

    def levels(self) -> Iterator[tuple[int, int]]:
        """(price_micros, quantity) of each level, best first."""
        for rank in reversed(self._ranks):
            price_micros = self._sign * rank
            yield price_micros, sum(self._levels[price_micros].values())

    def queue(self) -> Iterator[Queued]:
        """Every resting order, best price first, oldest first."""
        for rank in reversed(self._ranks):
            price_micros = self._sign * rank
            for place, leaves in self._levels[price_micros].items():
                yield place, price_micros, leaves

    def _front(self, price_micros: int) -> dict[int, int]:
        """The queue at this price, with its first order at hand."""
        queue = self._levels[price_micros]
        if queue.__sizeof__() > _LARGE_BYTES and not isinstance(queue, OrderedDict):
            queue = self._levels[price_micros] = OrderedDict(queue)
        return queue


class OrderBook:
    """Both sides of one symbol: an order takes from the opposite side, and what is left of it may join its own."""

    __slots__ = ("asks", "bids", "sides")

    def __init__(self) -> None:
        self.bids = BookSide(+1)
        self.asks = BookSide(-1)
        self.sides = {BUY: (self.bids, self.asks), SELL: (self.asks, self.bids)}  # (own, opposite)

    def levels(self, side: Side) -> list[tuple[int, int]]:
        """(price_micros, quantity) of each level of ``side``, best first."""
        return list(self.sides[side][0].levels())

    def queue(self, side: Side) -> Iterator[Queued]:
        """The resting orders of ``side``, best price first, oldest first."""
        return self.sides[side][0].queue()
