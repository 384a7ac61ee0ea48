"""What may be asked of the exchange. Imperative, immutable, and the only way state ever changes.

Time enters here and nowhere else: ``at_ns`` is stamped by whoever sequences the command.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from trading.core.orders import AccountId, OrderId, OrderType, Side, Symbol, TimeInForce


class ListInstrument(NamedTuple):
    at_ns: int
    symbol: Symbol
    tick_micros: int


class OpenAccount(NamedTuple):
    at_ns: int
    account_id: AccountId  # > 0; 0 is the outside world in the ledger


class Deposit(NamedTuple):
    """Brings cash (``asset`` = "USD", micro-dollars) or shares (``asset`` = a symbol) in from outside."""

    at_ns: int
    account_id: AccountId
    asset: str
    amount: int


class PlaceOrder(NamedTuple):
    at_ns: int
    account_id: AccountId
    client_order_id: str  # unique per account for ever: the key of idempotency
    symbol: Symbol
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int
    limit_price_micros: int | None  # None exactly for market orders


class CancelOrder(NamedTuple):
    at_ns: int
    account_id: AccountId
    order_id: OrderId


class CloseSession(NamedTuple):
    """Ends the trading day of one symbol: its day orders expire."""

    at_ns: int
    symbol: Symbol


Command: TypeAlias = ListInstrument | OpenAccount | Deposit | PlaceOrder | CancelOrder | CloseSession
