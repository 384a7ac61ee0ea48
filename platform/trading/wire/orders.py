"""An order as everybody outside the core sees it, folded from the journal's events, and its public JSON.

Field names and string decimals follow Alpaca's Trading API v2 (https://docs.alpaca.markets/reference/postorder).
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from trading.core.events import Event, OrderAccepted, OrderCanceled, Traded
from trading.core.orders import (
    MICROS_PER_DOLLAR,
    AccountId,
    CancelReason,
    OrderId,
    OrderStatus,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
)
from trading.wire.journal import JournalRecord


class OrderView(msgspec.Struct, kw_only=True):
    """The current state of one order. Prices and values in micro-dollars, quantities in shares, times in ns."""

    order_id: OrderId
    account_id: AccountId
    client_order_id: str
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_price_micros: int | None
    status: OrderStatus
    filled_quantity: int
    filled_value_micros: int
    submitted_at_ns: int
    updated_at_ns: int
    sequence: int  # of the journal record that accepted it


def fold(
    orders: MutableMapping[OrderId, OrderView], events: Iterable[Event], *, sequence: int, at_ns: int
) -> set[OrderId]:
    """Applies one journal record's events to ``orders`` (which must hold every order they touch).

    Returns the ids of the orders that were created or changed.
    """
    touched: set[OrderId] = set()
    for event in events:
        match event:
            case OrderAccepted():
                orders[event.order_id] = _accepted(event, sequence, at_ns)
                touched.add(event.order_id)
            case Traded():
                for order_id, leaves in (
                    (event.maker_order_id, event.maker_leaves),
                    (event.taker_order_id, event.taker_leaves),
                ):
                    _fill(orders[order_id], event, leaves, at_ns)
                    touched.add(order_id)
            case OrderCanceled():
                _cancel(orders[event.order_id], event, at_ns)
                touched.add(event.order_id)
            case _:
                pass
    return touched


def _accepted(event: OrderAccepted, sequence: int, at_ns: int) -> OrderView:
    return OrderView(
        order_id=event.order_id,
        account_id=event.account_id,
        client_order_id=event.client_order_id,
        symbol=event.symbol,
        side=event.side,
        order_type=event.order_type,
        time_in_force=event.time_in_force,
        quantity=event.quantity,
        limit_price_micros=event.limit_price_micros,
        status=OrderStatus.NEW,
        filled_quantity=0,
        filled_value_micros=0,
        submitted_at_ns=at_ns,
        updated_at_ns=at_ns,
        sequence=sequence,
    )


def _fill(order: OrderView, trade: Traded, leaves: int, at_ns: int) -> None:
    order.filled_quantity += trade.quantity
    order.filled_value_micros += trade.quantity * trade.price_micros
    order.status = OrderStatus.PARTIALLY_FILLED if leaves else OrderStatus.FILLED
    order.updated_at_ns = at_ns


def _cancel(order: OrderView, event: OrderCanceled, at_ns: int) -> None:
    expired = event.reason is CancelReason.SESSION_CLOSED
    order.status = OrderStatus.EXPIRED if expired else OrderStatus.CANCELED
    order.updated_at_ns = at_ns


def first_view(record: JournalRecord) -> OrderView | None:
    """The order a record accepted, as that record left it: the answer to its placement, however often asked.

    None for records that accept no order.
    """
    order: OrderView | None = None
    for event in record.events:
        match event:
            case OrderAccepted():
                order = _accepted(event, record.sequence, record.at_ns)
            case Traded() if order is not None:
                _fill(order, event, event.taker_leaves, record.at_ns)
            case OrderCanceled() if order is not None:
                _cancel(order, event, record.at_ns)
            case _:
                pass
    return order


# -- public representation -------------------------------------------------------------------------

_UUID_PREFIX = 0x8000_8000_0000_0000_0000  # version 8 (RFC 9562 section 5.8), variant 10


def order_uuid(order_id: OrderId) -> str:
    """The public id of an order: a UUID of version 8 that carries the core's number in its last 48 bits."""
    return str(UUID(int=_UUID_PREFIX | order_id))


def order_id_of(uuid: str) -> OrderId | None:
    """The core's number behind a public id; None when the text is no id this platform gave out."""
    try:
        value = UUID(uuid).int
    except ValueError:
        return None
    order_id = value & 0xFFFF_FFFF_FFFF
    return OrderId(order_id) if value == _UUID_PREFIX | order_id else None


def decimal_text(micros: int) -> str:
    """Micro-dollars as a decimal string in dollars, without trailing zeros beyond cents: 101500000 -> "101.50"."""
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    dollars, fraction = divmod(micros, MICROS_PER_DOLLAR)
    digits = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{dollars}.{digits}"


def average_price_micros(order: OrderView) -> int | None:
    return order.filled_value_micros // order.filled_quantity if order.filled_quantity else None


def rfc3339(at_ns: int) -> str:
    seconds, nanos = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{nanos:09d}Z"


def public_order(order: OrderView) -> dict[str, Any]:
    """The order as Alpaca's clients expect it."""
    average = average_price_micros(order)
    submitted, updated = rfc3339(order.submitted_at_ns), rfc3339(order.updated_at_ns)
    return {
        "id": order_uuid(order.order_id),
        "client_order_id": order.client_order_id,
        "created_at": submitted,
        "submitted_at": submitted,
        "updated_at": updated,
        "filled_at": updated if order.status is OrderStatus.FILLED else None,
        "canceled_at": updated if order.status is OrderStatus.CANCELED else None,
        "expired_at": updated if order.status is OrderStatus.EXPIRED else None,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": str(asset_uuid(order.symbol)),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": str(order.quantity),
        "filled_qty": str(order.filled_quantity),
        "filled_avg_price": None if average is None else decimal_text(average),
        "order_class": "simple",
        "order_type": order.order_type.value,
        "type": order.order_type.value,
        "side": order.side.value,
        "time_in_force": order.time_in_force.value,
        "limit_price": None if order.limit_price_micros is None else decimal_text(order.limit_price_micros),
        "stop_price": None,
        "status": order.status.value,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


@cache
def asset_uuid(symbol: str) -> UUID:
    """A stable id per symbol (RFC 9562 section 5.5)."""
    return uuid5(NAMESPACE_OID, symbol)
