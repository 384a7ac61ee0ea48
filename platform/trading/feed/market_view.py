"""What the feed knows: every book by price level, every open order, and what one more record changes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from trading.core.events import (
    CASH,
    Bucket,
    Event,
    InstrumentListed,
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    OrderRested,
    PhaseChanged,
    Traded,
)
from trading.core.orders import BUY, OPEN_STATUSES, AccountId, CancelReason, OrderId, OrderStatus, Side
from trading.feed.messages import status_message, trade_message
from trading.wire.feed import Levels, number_of
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView, decimal_text, fold, public_order, rfc3339, shares_text

encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class SymbolBook:
    sequence: int
    levels: dict[Side, Levels] = field(default_factory=lambda: {Side.BUY: {}, Side.SELL: {}})

    def change(self, side: Side, price_micros: int, quantity: int) -> None:
        levels = self.levels[side]
        levels[price_micros] = levels.get(price_micros, 0) + quantity

    def settle(self, side: Side, price_micros: int) -> int:
        """The level's size; an empty level is dropped."""
        size = self.levels[side][price_micros]
        if not size:
            del self.levels[side][price_micros]
        return size


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One record's messages, encoded once: for a symbol's subscribers, by channel, and per account."""

    symbol: str | None
    book: bytes
    trades: list[bytes]
    statuses: list[bytes]
    updates: list[tuple[AccountId, bytes]]


class MarketView:
    def __init__(
        self,
        *,
        sequence: int,
        epoch: int,
        symbol_sequences: Mapping[str, int],
        open_orders: Iterable[OrderView],
        positions: Mapping[tuple[AccountId, str], int],
    ) -> None:
        self.sequence = sequence
        self.epoch = epoch
        self.books = {symbol: SymbolBook(number) for symbol, number in symbol_sequences.items()}
        self._orders: dict[OrderId, OrderView] = {}
        self._positions: dict[tuple[AccountId, str], int] = defaultdict(int, positions)
        for order in open_orders:
            self._orders[order.order_id] = order
            if order.price_micros is not None:
                self.books[order.symbol].change(order.side, order.price_micros, order.leaves)

    def snapshot(self, symbol: str, at_ns: int) -> bytes:
        """The whole book as an ``o`` message with ``r`` set, to be followed by the next record's delta."""
        book = self.books[symbol]
        levels = {side: list(book.levels[side].items()) for side in Side}
        return encode(self._book_message(symbol, at_ns, levels) | {"r": True})

    def apply(self, record: JournalRecord, listening: frozenset[AccountId]) -> Broadcast:
        """Advances by one record. Order updates are made for ``listening`` accounts only."""
        self.sequence, self.epoch = record.sequence, record.epoch
        updates: list[tuple[AccountId, bytes]] = []
        trades: list[bytes] = []
        statuses: list[bytes] = []
        touched: dict[tuple[Side, int], None] = {}
        changed: set[OrderId] = set()
        for event in record.events:
            touched |= dict.fromkeys(self._change_book(event))  # asks where orders rested before the event
            changed |= fold(self._orders, (event,), sequence=record.sequence, at_ns=record.at_ns)
            self._move_shares(event)
            updates += self._updates(event, record, listening)
            if isinstance(event, Traded):
                trades.append(encode(trade_message(event, record)))
            elif isinstance(event, PhaseChanged):
                statuses.append(encode(status_message(event, record)))
        self._drop_closed(changed)
        return Broadcast(record.symbol, self._delta(record, touched), trades, statuses, updates)

    def _delta(self, record: JournalRecord, touched: Iterable[tuple[Side, int]]) -> bytes:
        if record.symbol is None:
            return b""
        book = self.books[record.symbol]
        assert record.symbol_sequence is not None
        book.sequence = record.symbol_sequence
        levels: dict[Side, list[tuple[int, int]]] = {Side.BUY: [], Side.SELL: []}
        for side, price_micros in touched:
            levels[side].append((price_micros, book.settle(side, price_micros)))
        return encode(self._book_message(record.symbol, record.at_ns, levels))

    def _book_message(self, symbol: str, at_ns: int, levels: Mapping[Side, list[tuple[int, int]]]) -> dict[str, Any]:
        bids, asks = ([{"p": number_of(p), "s": number_of(s)} for p, s in levels[side]] for side in Side)
        sequence = self.books[symbol].sequence
        return {"T": "o", "S": symbol, "q": sequence, "e": self.epoch, "t": rfc3339(at_ns), "b": bids, "a": asks}

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
                self.books[event.instrument.symbol] = SymbolBook(0)
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

    def _move_shares(self, event: Event) -> None:
        """A trade moves shares at once: its update must show the position with it, before its postings are read."""
        match event:
            case Traded():
                bought = event.quantity if event.taker_side is BUY else -event.quantity
                self._positions[event.taker_account_id, event.symbol] += bought
                self._positions[event.maker_account_id, event.symbol] -= bought
            case LedgerPosted(debit_bucket=Bucket.AVAILABLE, credit_bucket=Bucket.AVAILABLE) if event.asset != CASH:
                # Only what comes in, leaves or is transferred goes from available to available.
                self._positions[event.debit_account_id, event.asset] -= event.amount
                self._positions[event.credit_account_id, event.asset] += event.amount
            case _:
                pass

    def _updates(
        self, event: Event, record: JournalRecord, listening: frozenset[AccountId]
    ) -> list[tuple[AccountId, bytes]]:
        match event:
            case OrderAccepted() if event.account_id in listening:
                held = self._orders[event.order_id].status is OrderStatus.HELD
                return [self._update("held" if held else "new", event.order_id, record, {})]
            case OrderActivated() if self._orders[event.order_id].account_id in listening:
                return [self._update("new", event.order_id, record, {})]
            case OrderCanceled() if event.account_id in listening:
                name = "expired" if event.reason is CancelReason.SESSION_CLOSED else "canceled"
                return [self._update(name, event.order_id, record, {})]
            case OrderReplaced() if event.account_id in listening:
                return [self._update("replaced", event.order_id, record, {})]
            case OrderReduced() if event.account_id in listening:
                return [self._update("restated", event.order_id, record, {})]
            case Traded():
                sides = (
                    (event.maker_account_id, event.maker_order_id, event.maker_leaves),
                    (event.taker_account_id, event.taker_order_id, event.taker_leaves),
                )
                return [
                    self._update("partial_fill" if leaves else "fill", order_id, record, self._fill(event, account_id))
                    for account_id, order_id, leaves in sides
                    if account_id in listening
                ]
            case _:
                return []

    def _fill(self, trade: Traded, account_id: AccountId) -> dict[str, str]:
        return {
            "execution_id": str(trade.trade_id),
            "price": decimal_text(trade.price_micros),
            "qty": shares_text(trade.quantity),
            "position_qty": shares_text(self._positions[account_id, trade.symbol]),
        }

    def _update(
        self, name: str, order_id: OrderId, record: JournalRecord, more: dict[str, str]
    ) -> tuple[AccountId, bytes]:
        order = self._orders[order_id]
        data = {"event": name, "timestamp": rfc3339(record.at_ns), "order": public_order(order), **more}
        return order.account_id, encode({"stream": "trade_updates", "data": data})

    def _drop_closed(self, changed: set[OrderId]) -> None:
        for order_id in changed:
            if self._orders[order_id].status not in OPEN_STATUSES:
                del self._orders[order_id]
