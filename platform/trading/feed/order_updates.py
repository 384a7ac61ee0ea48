"""Open orders and positions as the journal moves them, and what their owners are told about it (trade_updates).

Events and fields: https://docs.alpaca.markets/docs/websocket-streaming. The pending ones and ``rejected`` never come:
an order is durable before it is answered, and a refused one is no order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from trading.core.events import (
    CASH,
    Bucket,
    Event,
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    Traded,
)
from trading.core.orders import BUY, OPEN_STATUSES, AccountId, CancelReason, OrderId, OrderStatus
from trading.feed.messages import Message
from trading.wire.journal import JournalRecord
from trading.wire.orders import OrderView, decimal_text, fold, public_order, rfc3339, shares_text

Update = tuple[AccountId, Message]


class OpenOrders:
    def __init__(self, orders: Iterable[OrderView], positions: Mapping[tuple[AccountId, str], int]) -> None:
        self._orders = {order.order_id: order for order in orders}
        self._positions: dict[tuple[AccountId, str], int] = defaultdict(int, positions)

    def __getitem__(self, order_id: OrderId) -> OrderView:
        return self._orders[order_id]

    def apply(self, event: Event, record: JournalRecord) -> set[OrderId]:
        """Returns the orders it created or changed."""
        self._move_shares(event)
        return fold(self._orders, (event,), sequence=record.sequence, at_ns=record.at_ns)

    def forget_closed(self, changed: Iterable[OrderId]) -> None:
        for order_id in changed:
            if self._orders[order_id].status not in OPEN_STATUSES:
                del self._orders[order_id]

    def updates(self, line: int, record: JournalRecord, listening: frozenset[AccountId]) -> list[Update]:
        """What ``listening`` accounts are told of the record's event number ``line``, which is applied already."""
        event = record.events[line]
        match event:
            case Traded():
                return [
                    self._update("partial_fill" if leaves else "fill", order_id, record, execution, fill)
                    for execution, account_id, order_id, leaves in (
                        (2 * line, event.maker_account_id, event.maker_order_id, event.maker_leaves),
                        (2 * line + 1, event.taker_account_id, event.taker_order_id, event.taker_leaves),
                    )
                    if account_id in listening
                    for fill in (self._fill(event, account_id),)
                ]
            case OrderAccepted() | OrderActivated() | OrderCanceled() | OrderReplaced() | OrderReduced():
                order = self._orders[event.order_id]
                if order.account_id not in listening:
                    return []
                return [self._update(_name(event, order), event.order_id, record, 2 * line, {})]
            case _:
                return []

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

    def _fill(self, trade: Traded, account_id: AccountId) -> dict[str, str]:
        return {
            "price": decimal_text(trade.price_micros),
            "qty": shares_text(trade.quantity),
            "position_qty": shares_text(self._positions[account_id, trade.symbol]),
        }

    def _update(
        self, name: str, order_id: OrderId, record: JournalRecord, execution: int, fill: dict[str, str]
    ) -> Update:
        order = self._orders[order_id]
        data: dict[str, Any] = {
            "event": name,
            "execution_id": execution_uuid(record.sequence, execution),
            "timestamp": rfc3339(record.at_ns),
            "order": public_order(order),
            **fill,
            "sequence": record.sequence,
            "epoch": record.epoch,
        }
        return order.account_id, Message({"stream": "trade_updates", "data": data}, None)


def execution_uuid(sequence: int, number: int) -> str:
    """A UUID of version 8 (RFC 9562 section 5.8) made of the journal record's number and one within it."""
    return f"{sequence >> 16 & 0xFFFF_FFFF:08x}-{sequence & 0xFFFF:04x}-8000-8000-{number:012x}"


def _name(
    event: OrderAccepted | OrderActivated | OrderCanceled | OrderReplaced | OrderReduced, order: OrderView
) -> str:
    match event:
        case OrderAccepted():
            return "held" if order.status is OrderStatus.HELD else "new"
        case OrderActivated():
            return "new"
        case OrderCanceled():
            return "expired" if event.reason is CancelReason.SESSION_CLOSED else "canceled"
        case OrderReplaced():
            return "replaced"
        case OrderReduced():
            return "restated"
