"""The order book does what a sorted list of orders does, whatever is done to it."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trading.core.order_book import BookSide, Fill

PRICES = st.integers(1, 6)
CROWD = 100  # more than a small level holds
QUANTITIES = st.integers(1, 5) | st.integers(1, 10**15)


class Order(NamedTuple):
    place: int
    price_micros: int
    leaves: int


class BookAgainstAList(RuleBasedStateMachine):
    """One side of a book beside a list of orders, sorted by how good their price is and then by their place."""

    @initialize(buys=st.booleans())
    def open(self, buys: bool) -> None:
        self.sign = 1 if buys else -1
        self.side = BookSide(self.sign)
        self.orders: list[Order] = []
        self.last_place = 0

    @rule(price_micros=PRICES, quantity=QUANTITIES, orders=st.integers(1, 5) | st.just(CROWD))
    def add(self, price_micros: int, quantity: int, orders: int) -> None:
        for _ in range(orders):
            self.last_place += 1
            self.side.add(self.last_place, price_micros, quantity)
            self.orders.append(Order(self.last_place, price_micros, quantity))
        self.orders.sort(key=lambda order: (-self.sign * order.price_micros, order.place))

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.orders))
        assert self.side.leaves(order.place, order.price_micros) == order.leaves
        assert self.side.remove(order.place, order.price_micros) == order.leaves
        self.orders.remove(order)

    @precondition(lambda self: any(order.leaves > 1 for order in self.orders))
    @rule(data=st.data())
    def reduce(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from([order for order in self.orders if order.leaves > 1]))
        quantity = data.draw(st.integers(1, order.leaves - 1))
        left = order.leaves - quantity
        assert self.side.reduce(order.place, order.price_micros, quantity) == left
        self.orders[self.orders.index(order)] = order._replace(leaves=left)

    @rule(quantity=QUANTITIES, limit_micros=PRICES)
    def take(self, quantity: int, limit_micros: int) -> None:
        expected = []
        while quantity and self.orders and self._within(self.orders[0], limit_micros):
            expected.append(self._fill_first(quantity))
            quantity -= expected[-1][2]
        assert self.side.take(quantity + sum(fill[2] for fill in expected), limit_micros) == expected

    @precondition(lambda self: self.orders)
    @rule(quantity=QUANTITIES)
    def fill_first(self, quantity: int) -> None:
        assert self.side.fill_first(quantity) == self._fill_first(quantity)

    @rule(limit_micros=PRICES)
    def depth(self, limit_micros: int) -> None:
        within = [order.leaves for order in self.orders if self._within(order, limit_micros)]
        assert self.side.depth(limit_micros) == sum(within)

    @invariant()
    def shows_the_same_orders(self) -> None:
        assert list(self.side.queue()) == self.orders
        assert bool(self.side) == bool(self.orders)
        assert self.side.first() == (self.orders[0] if self.orders else None)
        assert self.side.best() == (self.orders[0].price_micros if self.orders else None)

    @invariant()
    def shows_the_same_levels(self) -> None:
        totals: dict[int, int] = {}
        for _, price_micros, leaves in self.orders:
            totals[price_micros] = totals.get(price_micros, 0) + leaves
        assert list(self.side.levels()) == list(totals.items())

    def _within(self, order: Order, limit_micros: int) -> bool:
        return self.sign * order.price_micros >= self.sign * limit_micros

    def _fill_first(self, quantity: int) -> Fill:
        place, price_micros, leaves = self.orders.pop(0)
        filled = min(quantity, leaves)
        if filled < leaves:
            self.orders.insert(0, Order(place, price_micros, leaves - filled))
        return place, price_micros, filled, leaves - filled


TestBookAgainstAList = BookAgainstAList.TestCase
TestBookAgainstAList.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_order_can_only_be_removed_from_where_it_rests() -> None:
    side = BookSide(+1)
    side.add(1, 10, 5)
    side.add(2, 20, 5)
    for place, price_micros in ((3, 10), (1, 20), (1, 30)):
        with pytest.raises(KeyError):
            side.remove(place, price_micros)


def test_nobody_can_be_filled_in_an_empty_book() -> None:
    with pytest.raises(IndexError):
        BookSide(-1).fill_first(1)
