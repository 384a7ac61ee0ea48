"""What may be asked of the exchange. Imperative, immutable, and the only way state ever changes.

Time enters here and nowhere else: ``at_ns`` is stamped by whoever sequences the command.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from trading.core.orders import (
    AccountId,
    AccountTerms,
    FeeSchedule,
    Instrument,
    OrderId,
    OrderType,
    Phase,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)

EVERYBODY: Final = AccountId(0)


class ListInstrument(NamedTuple):
    at_ns: int
    instrument: Instrument


class ChangeInstrument(NamedTuple):
    """New terms; symbol, ticks, lot and reference price stay as they were listed."""

    at_ns: int
    instrument: Instrument


class ChangePhase(NamedTuple):
    """Moves one market through its day. Into continuous trading and out of the closing call it goes by an auction."""

    at_ns: int
    symbol: Symbol
    phase: Phase


class OpenAccount(NamedTuple):
    at_ns: int
    account_id: AccountId  # > 0
    terms: AccountTerms = AccountTerms()


class ChangeAccount(NamedTuple):
    at_ns: int
    account_id: AccountId
    terms: AccountTerms


class SetKillSwitch(NamedTuple):
    """While engaged, new orders of the account (0: of everybody) are refused. ``CancelAll`` withdraws the open ones."""

    at_ns: int
    account_id: AccountId
    engaged: bool


class SetFees(NamedTuple):
    """Only while no order is open."""

    at_ns: int
    fees: FeeSchedule


class Deposit(NamedTuple):
    """Brings cash (``asset`` = "USD", micro-dollars) or shares (``asset`` = a symbol, micro-shares) in from outside.

    No rule looks at a payment's ``reference``: by it the engine knows a repetition of the same payment.
    """

    at_ns: int
    account_id: AccountId
    asset: str
    amount: int
    reference: str = ""


class Withdraw(NamedTuple):
    at_ns: int
    account_id: AccountId
    asset: str
    amount: int
    reference: str = ""


class Transfer(NamedTuple):
    """Journals an asset from one account to another."""

    at_ns: int
    account_id: AccountId
    to_account_id: AccountId
    asset: str
    amount: int
    reference: str = ""


class PlaceOrder(NamedTuple):
    at_ns: int
    account_id: AccountId
    client_order_id: str  # unique per account for ever: the key of idempotency
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int  # 0 exactly with a notional
    limit_price_micros: int | None  # given exactly for limit and stop_limit
    special: SpecialTerms | None = None


class ReplaceOrder(NamedTuple):
    """Puts a new order in the place of an open one; None keeps what the old one has.

    ``quantity`` counts what the old order has filled already, so a replacement that races with a fill can never
    trade more than was meant. ``trail`` is in the unit of the old order's trail, micro-dollars or ppm.
    """

    at_ns: int
    account_id: AccountId
    order_id: OrderId
    client_order_id: str
    quantity: int | None = None
    limit_price_micros: int | None = None
    stop_price_micros: int | None = None
    trail: int | None = None
    time_in_force: TimeInForce | None = None


class CancelOrder(NamedTuple):
    at_ns: int
    account_id: AccountId
    order_id: OrderId


class CancelAll(NamedTuple):
    """Cancels every open order of an account (0: of everybody) in one market."""

    at_ns: int
    account_id: AccountId
    symbol: Symbol


Payment: TypeAlias = Deposit | Withdraw | Transfer

Command: TypeAlias = (
    ListInstrument
    | ChangeInstrument
    | ChangePhase
    | OpenAccount
    | ChangeAccount
    | SetKillSwitch
    | SetFees
    | Deposit
    | Withdraw
    | Transfer
    | PlaceOrder
    | ReplaceOrder
    | CancelOrder
    | CancelAll
)
