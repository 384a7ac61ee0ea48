"""What the feed knows: every book by price level, every open order, and what one more record changes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from trading.core.events import (
    Event,
    InstrumentListed,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    OrderRested,
    PhaseChanged,
    Traded,
)
from trading.core.orders import AccountId, OrderId, Side
from trading.feed.bars import Bars
from trading.feed.books import Replayed, SymbolBook, Window
from trading.feed.messages import Message, quote_message, status_message, trade_message
from trading.feed.order_updates import OpenOrders, Update
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView

TRADES: Final = "trades"
QUOTES: Final = "quotes"
STATUSES: Final = "statuses"
ORDERBOOKS: Final = "orderbooks"


class LastRecord(NamedTuple):
    """Of a symbol: its number among the symbol's records, its epoch and time."""

    sequence: int = 0
    epoch: int = 0
    at_ns: int = 0


@dataclass(slots=True)
class Broadcast:
    """One record's messages: for a symbol's subscribers by channel, for those of bars, and per account."""

    symbol: str | None
    book: Message | None = None
    quote: Message | None = None
    others: list[tuple[str, Message]] = field(default_factory=list)  # trades and statuses, with their channels
    bars: list[tuple[str, str, Message]] = field(default_factory=list)  # channel, symbol
    updates: list[Update] = field(default_factory=list)


class MarketView:
    def __init__(
        self,
        *,
        sequence: int,
        epoch: int,
        last_records: Mapping[str, LastRecord],
        open_orders: Iterable[OrderView],
        positions: Mapping[tuple[AccountId, str], int],
        bars: Bars | None = None,
        window: Window | None = None,
    ) -> None:
        self.sequence = sequence
        self.epoch = epoch
        self.bars = bars or Bars()
        self._window = window or Window()
        self.books = {symbol: self._book(symbol, last) for symbol, last in last_records.items()}
        orders = list(open_orders)
        self._orders = OpenOrders(orders, positions)
        for order in orders:
            if order.price_micros is not None:
                self.books[order.symbol].change(order.side, order.price_micros, order.leaves)
        for book in self.books.values():
            book.moved()

    def apply(self, record: JournalRecord, listening: frozenset[AccountId]) -> Broadcast:
        """Advances by one record. Order updates are made for ``listening`` accounts only."""
        self.sequence, self.epoch = record.sequence, record.epoch
        said = Broadcast(record.symbol, bars=self.bars.finish(record.at_ns))
        touched: dict[tuple[Side, int], None] = {}
        changed: set[OrderId] = set()
        for line, event in enumerate(record.events):
            touched |= dict.fromkeys(self._change_book(event))  # asks where orders rested before the event
            changed |= self._orders.apply(event, record)
            if listening:
                said.updates += self._orders.updates(line, record, listening)
            self._tell(event, record, said)
        self._orders.forget_closed(changed)
        if record.symbol is not None:
            self._advance(self.books[record.symbol], record, touched, said)
        return said

    def _tell(self, event: Event, record: JournalRecord, said: Broadcast) -> None:
        match event:
            case Traded():
                self.bars.add(event, record.at_ns)
                said.others.append((TRADES, trade_message(event, record)))
            case PhaseChanged():
                said.others.append((STATUSES, status_message(event, record)))
            case _:
                pass

    def _advance(
        self, book: SymbolBook, record: JournalRecord, touched: Iterable[tuple[Side, int]], said: Broadcast
    ) -> None:
        assert record.symbol_sequence is not None
        begins = not book.sequence
        said.book = book.advance(record.symbol_sequence, record.epoch, record.at_ns, touched)
        if begins:
            said.book = book.whole("listed")
        book.keep(Replayed(book.sequence, record.at_ns, said.book, tuple(said.others)))
        quote = book.moved()
        if quote is not None:
            said.quote = quote_message(book.symbol, quote, record)

    def _book(self, symbol: str, last: LastRecord) -> SymbolBook:
        return SymbolBook(symbol, sequence=last.sequence, epoch=last.epoch, at_ns=last.at_ns, window=self._window)

    def _change_book(self, event: Event) -> list[tuple[Side, int]]:
        """Moves the levels an event touches, and names them."""
        match event:
            case OrderRested():
                self.books[event.symbol].change(event.side, event.price_micros, event.quantity)
                return [(event.side, event.price_micros)]
            case Traded():
                taken = (self._take(order_id, event) for order_id in (event.maker_order_id, event.taker_order_id))
                return [level for level in taken if level is not None]
            case OrderCanceled() | OrderReplaced() | OrderReduced() if event.price_micros is not None:
                self.books[event.symbol].change(event.side, event.price_micros, -event.quantity)
                return [(event.side, event.price_micros)]
            case InstrumentListed():
                symbol = event.instrument.symbol
                self.books[symbol] = self._book(symbol, LastRecord())
                return []
            case _:
                return []

    def _take(self, order_id: OrderId, trade: Traded) -> tuple[Side, int] | None:
        """Takes a trade's quantity from the level where the order rests: in an auction both do."""
        order = self._orders[order_id]
        if order.price_micros is None:
            return None
        self.books[trade.symbol].change(order.side, order.price_micros, -trade.quantity)
        return order.side, order.price_micros
