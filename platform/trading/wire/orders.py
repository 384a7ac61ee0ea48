"""An order as everybody outside the core sees it, folded from the journal's events, and its public JSON.

Field names and string decimals follow Alpaca's Trading API v2 (https://docs.alpaca.markets/reference/postorder).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec

from trading.core.events import (
    Event,
    LedgerPosted,
    OrderAccepted,
    OrderActivated,
    OrderCanceled,
    OrderReduced,
    OrderReplaced,
    OrderRested,
    OrderTriggered,
    StopMoved,
    Traded,
)
from trading.core.orders import (
    MICROS_PER_SHARE,
    NS_PER_S,
    PLAIN,
    AccountId,
    CancelReason,
    OrderClass,
    OrderId,
    OrderStatus,
    OrderType,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.wire.journal import JournalRecord

_NEW: Final = OrderStatus.NEW
_HELD: Final = OrderStatus.HELD
_FILLED: Final = OrderStatus.FILLED
_CANCELED: Final = OrderStatus.CANCELED
_EXPIRED: Final = OrderStatus.EXPIRED
_PARTIALLY_FILLED: Final = OrderStatus.PARTIALLY_FILLED


class OrderView(msgspec.Struct, gc=False):  # it is in no cycle
    """The current state of one order. Prices and values in micro-dollars, quantities in micro-shares, times in ns.

    ``client_order_id`` is empty for a leg. ``price_micros`` and ``place`` are where it rests in the book, None
    while it does not; ``stop_price_micros`` is where its stop stands now.
    """

    order_id: OrderId  # these nine as in OrderAccepted
    account_id: AccountId
    client_order_id: str
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_price_micros: int | None
    status: OrderStatus
    submitted_at_ns: int
    updated_at_ns: int
    sequence: int  # of the journal record that accepted it
    special: SpecialTerms | None = None
    parent_id: OrderId | None = None
    replaces: OrderId | None = None
    stop_price_micros: int | None = None
    filled_quantity: int = 0
    filled_value_micros: int = 0
    reduced_quantity: int = 0
    high_water_mark_micros: int | None = None
    price_micros: int | None = None
    place: int | None = None
    replaced_by: OrderId | None = None
    legs: tuple[OrderView, ...] = ()  # only where somebody put them together

    @property
    def leaves(self) -> int:
        """What is still to be filled while the order is open."""
        return self.quantity - self.filled_quantity - self.reduced_quantity


# -- folding ---------------------------------------------------------------------------------------


def fold(
    orders: MutableMapping[OrderId, OrderView], events: Iterable[Event], *, sequence: int, at_ns: int
) -> set[OrderId]:
    """Applies one journal record's events to ``orders`` (which must hold every order they touch).

    Returns the ids of the orders that were created or changed.
    """
    touched: set[OrderId] = set()
    event: Any  # of the types in _CHANGES, where it is none of those tested for
    for event in events:
        if isinstance(event, LedgerPosted):  # half of all events, and about no order
            continue
        if isinstance(event, OrderAccepted):
            orders[event.order_id] = _accepted(event, sequence, at_ns)
            touched.add(event.order_id)
        elif isinstance(event, Traded):
            _fill(orders[event.maker_order_id], event, event.maker_leaves, at_ns)
            _fill(orders[event.taker_order_id], event, event.taker_leaves, at_ns)
            touched.add(event.maker_order_id)
            touched.add(event.taker_order_id)
        elif change := _CHANGES.get(type(event)):
            order_id = event.order_id
            change(orders[order_id], event, at_ns)
            touched.add(order_id)
    return touched


def _accepted(event: OrderAccepted, sequence: int, at_ns: int) -> OrderView:
    special, parent_id, replaces = event[9:]
    # A leg is held until it is activated; only a live one can be replaced.
    status = _NEW if parent_id is None or replaces is not None else _HELD
    stop_price_micros = None if special is None else special.stop_price_micros
    # By position: a recovery makes millions of them, and names would cost it a twentieth of its time.
    return OrderView(*event[:9], status, at_ns, at_ns, sequence, special, parent_id, replaces, stop_price_micros)


def _fill(order: OrderView, trade: Traded, leaves: int, at_ns: int) -> None:
    order.filled_quantity += trade.quantity
    order.filled_value_micros += trade.quantity * trade.price_micros // MICROS_PER_SHARE
    order.updated_at_ns = at_ns
    if leaves:
        order.status = _PARTIALLY_FILLED
    else:
        order.status = _FILLED
        order.price_micros = order.place = None


def _rest(order: OrderView, event: OrderRested, at_ns: int) -> None:
    order.price_micros, order.place, order.updated_at_ns = event.price_micros, event.place, at_ns


def _cancel(order: OrderView, event: OrderCanceled, at_ns: int) -> None:
    expired = event.reason is CancelReason.SESSION_CLOSED
    order.status, order.updated_at_ns = _EXPIRED if expired else _CANCELED, at_ns
    order.price_micros = order.place = None


def _replace(order: OrderView, event: OrderReplaced, at_ns: int) -> None:
    order.status, order.replaced_by, order.updated_at_ns = OrderStatus.REPLACED, event.replaced_by, at_ns
    order.price_micros = order.place = None


def _reduce(order: OrderView, event: OrderReduced, at_ns: int) -> None:
    order.reduced_quantity += event.quantity
    order.updated_at_ns = at_ns


def _activate(order: OrderView, event: OrderActivated, at_ns: int) -> None:
    order.status, order.updated_at_ns = _NEW, at_ns


def _trigger(order: OrderView, event: OrderTriggered, at_ns: int) -> None:
    order.stop_price_micros, order.updated_at_ns = event.stop_price_micros, at_ns


def _move_stop(order: OrderView, event: StopMoved, at_ns: int) -> None:
    order.stop_price_micros, order.high_water_mark_micros = event.stop_price_micros, event.high_water_mark_micros
    order.updated_at_ns = at_ns


# By type, as a chain of comparisons would cost a recovery a tenth of its time.
_CHANGES: Final[dict[type[Any], Callable[[OrderView, Any, int], None]]] = {
    OrderRested: _rest,
    OrderCanceled: _cancel,
    OrderReplaced: _replace,
    OrderReduced: _reduce,
    OrderActivated: _activate,
    OrderTriggered: _trigger,
    StopMoved: _move_stop,
}


def first_view(record: JournalRecord) -> OrderView | None:
    """The order a record accepted with its legs, as that record left them: the answer, however often asked.

    None for records that accept no order.
    """
    views: dict[OrderId, OrderView] = {}
    event: Any
    for event in record.events:
        match event:
            case LedgerPosted():
                continue
            case OrderAccepted():
                views[event.order_id] = _accepted(event, record.sequence, record.at_ns)
            case Traded():
                for order_id, leaves in (
                    (event.maker_order_id, event.maker_leaves),
                    (event.taker_order_id, event.taker_leaves),
                ):
                    if order_id in views:
                        _fill(views[order_id], event, leaves, record.at_ns)
            case _:
                change = _CHANGES.get(type(event))
                if change and event.order_id in views:
                    change(views[event.order_id], event, record.at_ns)
    if not views:
        return None
    order, *legs = views.values()
    order.legs = tuple(legs)
    return order


# -- public representation -------------------------------------------------------------------------

# Where assets and positions say they are listed. The clients' enum is closed, so a market of our own would break them.
EXCHANGE: Final = "NASDAQ"
_UUID_PREFIX: Final = 0x8000_8000_0000_0000_0000  # version 8 (RFC 9562 section 5.8), variant 10


def order_uuid(order_id: OrderId) -> str:
    """The public id of an order: a UUID of version 8 that carries the core's number in its last 48 bits."""
    return f"00000000-0000-8000-8000-{order_id:012x}"


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
    return _decimal(micros, digits=6, at_least=2)


def shares_text(micro_shares: int) -> str:
    """Micro-shares as a decimal string in shares, without trailing zeros: 10500000 -> "10.5"."""
    return _decimal(micro_shares, digits=6, at_least=0)


def percent_text(ppm: int) -> str:
    """Parts per million as a decimal string in percent: 15000 -> "1.5"."""
    return _decimal(ppm, digits=4, at_least=0)


def _decimal(value: int, *, digits: int, at_least: int) -> str:
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, fraction = divmod(value, 10**digits)
    decimals = f"{fraction:0{digits}}".rstrip("0").ljust(at_least, "0") if fraction else "0" * at_least
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def average_price_micros(order: OrderView) -> int | None:
    quantity = order.filled_quantity
    return order.filled_value_micros * MICROS_PER_SHARE // quantity if quantity else None


def rfc3339(at_ns: int) -> str:
    seconds, nanos = divmod(at_ns, NS_PER_S)
    return f"{_second(seconds)}.{nanos:09d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=10_000)
def asset_uuid(symbol: str) -> UUID:
    """A stable id per symbol (RFC 9562 section 5.5)."""
    return uuid5(NAMESPACE_OID, symbol)


def public_order(order: OrderView, group: OrderClass | None = None) -> dict[str, Any]:
    """The order as Alpaca's clients expect it; a leg below its parent belongs to the parent's ``group``.

    Beyond Alpaca's fields: ``post_only``, and ``parent_id`` of a leg.
    """
    special = order.special or PLAIN
    group = group or special.order_class
    average = average_price_micros(order)
    submitted, updated = rfc3339(order.submitted_at_ns), rfc3339(order.updated_at_ns)
    public_id = order_uuid(order.order_id)
    return {
        "id": public_id,
        "client_order_id": order.client_order_id or public_id,
        "created_at": submitted,
        "submitted_at": submitted,
        "updated_at": updated,
        "filled_at": updated if order.status is _FILLED else None,
        "canceled_at": updated if order.status is OrderStatus.CANCELED else None,
        "expired_at": updated if order.status is OrderStatus.EXPIRED else None,
        "expires_at": None,
        "failed_at": None,
        "replaced_at": updated if order.status is OrderStatus.REPLACED else None,
        "replaced_by": _public_id(order.replaced_by),
        "replaces": _public_id(order.replaces),
        "asset_id": str(asset_uuid(order.symbol)),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": _dollars(special.notional_micros),
        "qty": shares_text(order.quantity) if special.notional_micros is None else None,
        "filled_qty": shares_text(order.filled_quantity),
        "filled_avg_price": _dollars(average),
        "order_class": group.value,
        "order_type": order.order_type.value,
        "type": order.order_type.value,
        "side": order.side.value,
        "position_intent": None,
        "ratio_qty": None,
        "time_in_force": order.time_in_force.value,
        "limit_price": _dollars(order.limit_price_micros),
        "stop_price": _dollars(order.stop_price_micros),
        "status": order.status.value,
        "extended_hours": False,
        "legs": [public_order(leg, group) for leg in order.legs] or None,
        "trail_percent": None if special.trail_ppm is None else percent_text(special.trail_ppm),
        "trail_price": _dollars(special.trail_micros),
        "hwm": _dollars(order.high_water_mark_micros),
        "subtag": None,
        "source": None,
        "post_only": special.post_only,
        "parent_id": _public_id(order.parent_id),
    }


def _public_id(order_id: OrderId | None) -> str | None:
    return None if order_id is None else order_uuid(order_id)


def _dollars(micros: int | None) -> str | None:
    return None if micros is None else decimal_text(micros)
