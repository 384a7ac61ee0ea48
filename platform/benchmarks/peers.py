"""Matching engines from PyPI behind one door: the flow of the matching benchmark, one call per message.

Each is used as its documentation shows and gets whole shares and prices in ticks, prepared before the clock starts.
"""

from __future__ import annotations

from typing import Protocol

from bourse.core import OrderBook as Bourse
from flow import Message, PlainBook
from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Trade
from lightmatchingengine.lightmatchingengine import Side as LightSide
from pyorderbook.book import Book as PyOrderBook
from pyorderbook.order import Order, ask, bid
from pyorderbook.trade_blotter import Trade as PyTrade

_SYMBOL = "AAA"


class Peer(Protocol):
    def run(self, flow: list[Message]) -> None: ...

    def outcome(self) -> tuple[int, int]:
        """(fills, quantity traded)"""
        ...


class RunsPlainBook:
    """The plainest book one would write oneself: beside this file, in a page."""

    def __init__(self) -> None:
        self._book = PlainBook()

    def run(self, flow: list[Message]) -> None:
        place, cancel = self._book.place, self._book.cancel
        for order_id, is_buy, price, quantity in flow:
            if quantity:
                place(order_id, is_buy, price, quantity)
            else:
                cancel(order_id)

    def outcome(self) -> tuple[int, int]:
        return self._book.fills, self._book.volume


class RunsBourse:
    """Rust. It numbers its orders from 0, and its fills can only be read when all is done, outside the clock.

    Of two orders at one price and time it loses the first, so that each new order needs the next time: a second call.
    """

    def __init__(self) -> None:
        self._book = Bourse(0, 1)

    def run(self, flow: list[Message]) -> None:
        place, cancel, set_time = self._book.place_order, self._book.cancel_order, self._book.set_time
        for order_id, is_buy, price, quantity in flow:
            if quantity:
                set_time(order_id)
                place(is_buy, quantity, 0, price)
            else:
                cancel(order_id - 1)

    def outcome(self) -> tuple[int, int]:
        trades = self._book.get_trades()
        return len(trades), sum(trade[3] for trade in trades)


class RunsLightMatchingEngine:
    """It numbers its orders from 1. It forgets no filled order, and fails when one is canceled: the flow never does."""

    def __init__(self) -> None:
        self._engine = LightMatchingEngine()
        self._trades: list[Trade] = []

    def run(self, flow: list[Message]) -> None:
        add, cancel, keep = self._engine.add_order, self._engine.cancel_order, self._trades.extend
        buy, sell = LightSide.BUY, LightSide.SELL
        for order_id, is_buy, price, quantity in flow:
            if quantity:
                _, trades = add(_SYMBOL, price, quantity, buy if is_buy else sell)
                keep(trades)
            else:
                cancel(order_id, _SYMBOL)

    def outcome(self) -> tuple[int, int]:
        """Of each price it reports what the taker got, then what each maker gave."""
        fills = volume = given = 0
        for trade in self._trades:
            if given:
                given -= trade.trade_qty
                fills += 1
            else:
                given = trade.trade_qty
                volume += given
        return fills, volume


class RunsPyOrderBook:
    """It gives each order a UUID and a Decimal price, and wants the order itself back to cancel it."""

    def __init__(self) -> None:
        self._book = PyOrderBook()
        self._trades: list[PyTrade] = []

    def run(self, flow: list[Message]) -> None:
        match, cancel, keep = self._book.match, self._book.cancel, self._trades.extend
        orders: dict[int, Order] = {}
        for order_id, is_buy, price, quantity in flow:
            if quantity:
                order = orders[order_id] = (bid if is_buy else ask)(_SYMBOL, price, quantity)
                keep(match(order).trades)
            else:
                cancel(orders.pop(order_id))

    def outcome(self) -> tuple[int, int]:
        return len(self._trades), sum(trade.fill_quantity for trade in self._trades)
