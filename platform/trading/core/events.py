"""What happened. Past tense, immutable; the tables, the feed and every check are projections of these."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from trading.core.orders import (
    AccountId,
    AccountTerms,
    CancelReason,
    FeeSchedule,
    Instrument,
    OrderId,
    OrderType,
    Phase,
    RejectReason,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
    TradeId,
)

OUTSIDE: Final = AccountId(0)  # where deposits come from and withdrawals go
FEES: Final = AccountId(-1)  # what was charged for trading
ROUNDING: Final = AccountId(-2)  # what was charged only because a charge is rounded up to a cent
CASH: Final = "USD"


class Bucket(StrEnum):
    AVAILABLE = "available"
    RESERVED = "reserved"


class InstrumentListed(NamedTuple):
    instrument: Instrument


class InstrumentChanged(NamedTuple):
    instrument: Instrument


class PhaseChanged(NamedTuple):
    """``reopens_at_ns`` is set for a volatility halt: when its re-opening auction is due."""

    symbol: Symbol
    phase: Phase
    reference_price_micros: int  # from now on
    reopens_at_ns: int | None


class Uncrossed(NamedTuple):
    """An auction found its price, or none; the trades that follow add up to ``quantity``."""

    symbol: Symbol
    price_micros: int | None
    quantity: int


class AccountOpened(NamedTuple):
    account_id: AccountId
    terms: AccountTerms


class AccountChanged(NamedTuple):
    account_id: AccountId
    terms: AccountTerms


class KillSwitchSet(NamedTuple):
    account_id: AccountId  # 0: everybody
    engaged: bool


class FeesSet(NamedTuple):
    fees: FeeSchedule


class OrderAccepted(NamedTuple):
    """A leg has a parent and no client_order_id; a replacement names the order it ``replaces``."""

    order_id: OrderId
    account_id: AccountId
    client_order_id: str
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int  # a notional order's is what its dollars buy or sell
    limit_price_micros: int | None
    special: SpecialTerms | None
    parent_id: OrderId | None
    replaces: OrderId | None


class OrderActivated(NamedTuple):
    """A leg that was held is live now: its entry is filled, or it had none."""

    order_id: OrderId


class OrderTriggered(NamedTuple):
    """A stop was elected by a trade; from now on it is a limit order, or a market order down to ``price_micros``."""

    order_id: OrderId
    symbol: Symbol
    stop_price_micros: int
    price_micros: int


class StopMoved(NamedTuple):
    """A trailing order began to wait, or its stop followed the market: where this command left it."""

    order_id: OrderId
    symbol: Symbol
    high_water_mark_micros: int  # the highest trade since it was accepted; for a buy the lowest
    stop_price_micros: int


class OrderRested(NamedTuple):
    """The unfilled part of an order joined the queue at its price; ``place`` orders the queue, least first."""

    order_id: OrderId
    symbol: Symbol
    side: Side
    price_micros: int
    quantity: int
    place: int


class Traded(NamedTuple):
    """One fill, both sides. ``*_leaves`` is what is still unfilled of each order afterwards.

    In an ``auction`` nobody takes: the younger order is named as the taker.
    """

    trade_id: TradeId
    symbol: Symbol
    price_micros: int  # the maker's price, or the auction's
    quantity: int
    taker_side: Side
    maker_order_id: OrderId
    maker_account_id: AccountId
    maker_leaves: int
    taker_order_id: OrderId
    taker_account_id: AccountId
    taker_leaves: int
    auction: bool


class OrderReduced(NamedTuple):
    """``quantity`` of an order was taken away without trading; ``leaves`` stay."""

    order_id: OrderId
    account_id: AccountId
    symbol: Symbol
    side: Side
    price_micros: int | None  # where it rests; None: in no queue
    quantity: int
    leaves: int
    reason: CancelReason


class OrderCanceled(NamedTuple):
    """The unfilled ``quantity`` was withdrawn; it rested at ``price_micros``, or in no queue (None)."""

    order_id: OrderId
    account_id: AccountId
    symbol: Symbol
    side: Side
    price_micros: int | None
    quantity: int
    reason: CancelReason


class OrderReplaced(NamedTuple):
    """The unfilled ``quantity`` was withdrawn in favour of another order, whose acceptance follows."""

    order_id: OrderId
    account_id: AccountId
    symbol: Symbol
    side: Side
    price_micros: int | None
    quantity: int
    replaced_by: OrderId


class LedgerPosted(NamedTuple):
    """One double-entry posting: ``amount`` > 0 of ``asset`` leaves the debit side and arrives at the credit side."""

    debit_account_id: AccountId
    debit_bucket: Bucket
    credit_account_id: AccountId
    credit_bucket: Bucket
    asset: str
    amount: int


Event: TypeAlias = (
    InstrumentListed
    | InstrumentChanged
    | PhaseChanged
    | Uncrossed
    | AccountOpened
    | AccountChanged
    | KillSwitchSet
    | FeesSet
    | OrderAccepted
    | OrderActivated
    | OrderTriggered
    | StopMoved
    | OrderRested
    | Traded
    | OrderReduced
    | OrderCanceled
    | OrderReplaced
    | LedgerPosted
)


class Refused(NamedTuple):
    """The command changed nothing; ``message`` carries the numbers that led to it."""

    reason: RejectReason
    message: str


class Repeated(NamedTuple):
    """The same order was accepted before under this client_order_id; nothing changed."""

    order_id: OrderId


Outcome: TypeAlias = list[Event] | Refused | Repeated
