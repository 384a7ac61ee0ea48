"""The vocabulary of an order: its closed sets of values and the ids and units everything else uses.

Units: prices and money are micro-dollars (10**-6 USD), quantities are whole shares, times are
nanoseconds since the Unix epoch. All are integers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NewType

AccountId = NewType("AccountId", int)
OrderId = NewType("OrderId", int)
TradeId = NewType("TradeId", int)
Symbol = NewType("Symbol", str)

MICROS_PER_DOLLAR = 1_000_000

# Bounds keep every product and every sum of balances inside PostgreSQL's bigint.
MAX_QUANTITY = 1_000_000_000
MAX_PRICE_MICROS = 1_000_000 * MICROS_PER_DOLLAR
MAX_ORDER_VALUE_MICROS = 1_000_000_000 * MICROS_PER_DOLLAR
MAX_DEPOSIT = 10**17
MAX_CLIENT_ORDER_ID_LENGTH = 48


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


# Reading a member off its enum class costs 15 times a global's lookup, and the core asks for the side all the time.
BUY: Final = Side.BUY
SELL: Final = Side.SELL


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class OrderStatus(StrEnum):
    """Alpaca's order states, as far as the core can reach them."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


OPEN_STATUSES = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class CancelReason(StrEnum):
    CLIENT = "client"
    UNFILLED = "unfilled"  # the remainder of a market or ioc order
    SESSION_CLOSED = "session_closed"


class RejectReason(StrEnum):
    """Why a command was refused; a refused command changes nothing."""

    DEADLINE_PASSED = "deadline_passed"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_SYMBOL = "unknown_symbol"
    UNKNOWN_ORDER = "unknown_order"
    ALREADY_EXISTS = "already_exists"
    CLIENT_ORDER_ID_REUSED = "client_order_id_reused"
    INVALID_CLIENT_ORDER_ID = "invalid_client_order_id"
    INVALID_QUANTITY = "invalid_quantity"
    INVALID_PRICE = "invalid_price"
    INVALID_AMOUNT = "invalid_amount"
    ORDER_VALUE_TOO_LARGE = "order_value_too_large"
    NO_LIQUIDITY = "no_liquidity"
    INSUFFICIENT_BUYING_POWER = "insufficient_buying_power"
    INSUFFICIENT_SHARES = "insufficient_shares"
    NOT_CANCELABLE = "not_cancelable"
