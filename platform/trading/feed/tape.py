"""The market's tape: every change of the best bid and offer, and the minute's bars, folded from the journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from trading.core.events import LedgerPosted, OrderCanceled, OrderReduced, OrderReplaced, OrderRested, Traded
from trading.core.orders import BUY, SELL, OrderId, Side
from trading.wire.journal import JournalRecord
from trading.wire.market_data import Bar, BestQuote, MinuteBars, Quote


class QuoteRow(NamedTuple):
    symbol: str
    at_ns: int
    symbol_sequence: int
    quote: Quote


class Resting(NamedTuple):
    """An order in the book, as far as its level is concerned."""

    order_id: OrderId
    symbol: str
    side: Side
    price_micros: int
    quantity: int


class Tape:
    """Stands at the journal's record ``sequence``; ``quotes`` and ``bars`` collect what is to be written."""

    def __init__(self, sequence: int = 0, *, resting: Iterable[Resting] = (), last_trade_id: int = 0) -> None:
        self.sequence = sequence
        self.last_trade_id = last_trade_id
        self.quotes: list[QuoteRow] = []
        self.bars: dict[tuple[str, int], Bar] = {}
        self._minute = MinuteBars()
        self._books: dict[str, BestQuote] = defaultdict(BestQuote)
        self._prices: dict[OrderId, int] = {}  # of the orders in the books
        for order in resting:
            self._prices[order.order_id] = order.price_micros
            self._move(order.symbol, {(order.side, order.price_micros): order.quantity})

    def begin(self, open_bars: Iterable[Bar]) -> None:
        """Forgets what was collected on the way here; the minute's bars go on from ``open_bars``."""
        self.clear()
        self._minute = MinuteBars(open_bars)

    def clear(self) -> None:
        self.quotes, self.bars = [], {}

    def apply(self, record: JournalRecord) -> None:
        """Takes the record after ``sequence``."""
        moved: dict[tuple[Side, int], int] = defaultdict(int)
        for event in record.events:
            match event:
                case LedgerPosted():  # half of all events, and none of them moves a book
                    continue
                case OrderRested():
                    self._prices[event.order_id] = event.price_micros
                    moved[event.side, event.price_micros] += event.quantity
                case Traded():
                    self._trade(event, record.at_ns, moved)
                case OrderCanceled() | OrderReplaced() if event.price_micros is not None:
                    del self._prices[event.order_id]
                    moved[event.side, event.price_micros] -= event.quantity
                case OrderReduced() if event.price_micros is not None:
                    moved[event.side, event.price_micros] -= event.quantity
                case _:
                    pass
        self.sequence = record.sequence
        if moved:
            assert record.symbol is not None
            assert record.symbol_sequence is not None
            quote = self._move(record.symbol, moved)
            if quote is not None:
                self.quotes.append(QuoteRow(record.symbol, record.at_ns, record.symbol_sequence, quote))

    def _trade(self, trade: Traded, at_ns: int, moved: dict[tuple[Side, int], int]) -> None:
        """Takes its quantity from the maker's level and, when the taker rested too, as in an auction, from its own."""
        maker_side = SELL if trade.taker_side is BUY else BUY
        for order_id, side, leaves in (
            (trade.maker_order_id, maker_side, trade.maker_leaves),
            (trade.taker_order_id, trade.taker_side, trade.taker_leaves),
        ):
            price_micros = self._prices.get(order_id)
            if price_micros is not None:
                moved[side, price_micros] -= trade.quantity
                if not leaves:
                    del self._prices[order_id]
        self._minute.add(trade, at_ns)
        self.last_trade_id = trade.trade_id
        bar = self._minute.open[trade.symbol]
        self.bars[bar.symbol, bar.start_ns] = bar

    def _move(self, symbol: str, moved: dict[tuple[Side, int], int]) -> Quote | None:
        book = self._books[symbol]
        return book.change((side, price, book.size(side, price) + by) for (side, price), by in moved.items())
