"""What happened. Past tense, immutable; the tables, the feed and every check are projections of these."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from trading.core.orders import (
    AccountId,
    CancelReason,
    OrderId,
    OrderType,
    RejectReason,
    Side,
    Symbol,
    TimeInForce,
    TradeId,
)

OUTSIDE = AccountId(0)
CASH = "USD"


class Bucket(StrEnum):
    AVAILABLE = "available"
    RESERVED = "reserved"


class InstrumentListed(NamedTuple):
    symbol: Symbol
    tick_micros: int


class AccountOpened(NamedTuple):
    account_id: AccountId


class OrderAccepted(NamedTuple):
    order_id: OrderId
    account_id: AccountId
    client_order_id: str
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_price_micros: int | None


class OrderRested(NamedTuple):
    """The unfilled part of an order joined the end of its price level's queue."""

    order_id: OrderId
    symbol: Symbol
    side: Side
    price_micros: int
    quantity: int


class Traded(NamedTuple):
    """One fill, both sides. ``*_leaves`` is what is still unfilled of each order afterwards."""

    trade_id: TradeId
    symbol: Symbol
    price_micros: int  # the maker's price
    quantity: int
    taker_side: Side
    maker_order_id: OrderId
    maker_account_id: AccountId
    maker_leaves: int
    taker_order_id: OrderId
    taker_account_id: AccountId
    taker_leaves: int


class OrderCanceled(NamedTuple):
    """``quantity`` unfilled shares were withdrawn; they rested at ``price_micros``, or never rested (None)."""

    order_id: OrderId
    account_id: AccountId
    symbol: Symbol
    side: Side
    price_micros: int | None
    quantity: int
    reason: CancelReason


class LedgerPosted(NamedTuple):
    """One double-entry posting: ``amount`` > 0 of ``asset`` leaves the debit side and arrives at the credit side."""

    debit_account_id: AccountId
    debit_bucket: Bucket
    credit_account_id: AccountId
    credit_bucket: Bucket
    asset: str
    amount: int


class SessionClosed(NamedTuple):
    symbol: Symbol


Event: TypeAlias = (
    InstrumentListed
    | AccountOpened
    | OrderAccepted
    | OrderRested
    | Traded
    | OrderCanceled
    | LedgerPosted
    | SessionClosed
)


class Refused(NamedTuple):
    """The command changed nothing; ``message`` carries the numbers that led to it."""

    reason: RejectReason
    message: str


class Repeated(NamedTuple):
    """The same order was accepted before under this client_order_id; nothing changed."""

    order_id: OrderId


Outcome: TypeAlias = list[Event] | Refused | Repeated
