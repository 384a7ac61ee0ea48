"""Pre-trade checks: everything that can refuse an order or an administrative command, before anything changes."""

from __future__ import annotations

from trading.core.commands import Deposit, ListInstrument, PlaceOrder
from trading.core.events import CASH, Refused
from trading.core.ledger import MAX_ISSUED, Ledger
from trading.core.order_book import OrderBook
from trading.core.orders import (
    BUY,
    MAX_CLIENT_ORDER_ID_LENGTH,
    MAX_DEPOSIT,
    MAX_ORDER_VALUE_MICROS,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    AccountId,
    OrderType,
    RejectReason,
)

MAX_ACCOUNT_ID = 2**63 - 1
MAX_SYMBOL_LENGTH = 16

_MARKET = OrderType.MARKET


def check_terms(order: PlaceOrder, tick_micros: int) -> Refused | None:
    """Is this an order at all, whoever sends it and whatever the market is like?"""
    _, _, client_order_id, _, _, order_type, _, quantity, price_micros = order
    # What cannot be printed cannot be stored either: PostgreSQL takes no NUL, UTF-8 no lone surrogate.
    if not (0 < len(client_order_id) <= MAX_CLIENT_ORDER_ID_LENGTH and client_order_id.isprintable()):
        return _bad_client_order_id(client_order_id)
    if not 0 < quantity <= MAX_QUANTITY:
        message = f"quantity {shown(quantity)} is not within 1..{MAX_QUANTITY}"
        return Refused(RejectReason.INVALID_QUANTITY, message)
    if (price_micros is None) != (order_type is _MARKET):
        given = "none" if price_micros is None else f"{shown(price_micros)} micro-dollars"
        return Refused(RejectReason.INVALID_PRICE, f"a {order_type} order came with limit price {given}")
    if price_micros is None:
        return None
    if not 0 < price_micros <= MAX_PRICE_MICROS or price_micros % tick_micros:
        return _bad_price(price_micros, tick_micros)
    if quantity * price_micros > MAX_ORDER_VALUE_MICROS:
        message = f"{quantity} at {price_micros} micro-dollars exceed {MAX_ORDER_VALUE_MICROS} together"
        return Refused(RejectReason.ORDER_VALUE_TOO_LARGE, message)
    return None


def reservation(order: PlaceOrder, book: OrderBook) -> int | Refused:
    """What the order may cost at most: micro-dollars of a buy, shares of a sale."""
    if order.limit_price_micros is not None:
        return order.quantity * order.limit_price_micros if order.side is BUY else order.quantity
    _, opposite = book.sides[order.side]
    if not opposite:
        message = f"nobody is there to trade {order.quantity} {order.symbol} with: 0 shares offered"
        return Refused(RejectReason.NO_LIQUIDITY, message)
    return opposite.cost_of(order.quantity) if order.side is BUY else order.quantity


def check_funds(order: PlaceOrder, needed: int, available: int) -> Refused | None:
    """Buying power for a buy, free shares for a sale."""
    if needed <= available:
        return None
    if order.side is BUY:
        message = f"buying {order.quantity} {order.symbol} takes {needed} micro-dollars, available are {available}"
        return Refused(RejectReason.INSUFFICIENT_BUYING_POWER, message)
    message = f"selling {needed} {order.symbol}, free to sell are {available}"
    return Refused(RejectReason.INSUFFICIENT_SHARES, message)


def check_deposit(command: Deposit, ledger: Ledger) -> Refused | None:
    if not 0 < command.amount <= MAX_DEPOSIT:
        message = f"amount {shown(command.amount)} is not within 1..{MAX_DEPOSIT}"
        return Refused(RejectReason.INVALID_AMOUNT, message)
    issued = ledger.issued(command.asset)
    if issued + command.amount > MAX_ISSUED:
        message = f"{command.amount} more {command.asset} on top of {issued} would exceed {MAX_ISSUED}"
        return Refused(RejectReason.INVALID_AMOUNT, message)
    return None


def check_account_id(account_id: AccountId) -> Refused | None:
    if 0 < account_id <= MAX_ACCOUNT_ID:
        return None
    message = f"account id {shown(account_id)} is not within 1..{MAX_ACCOUNT_ID}"
    return Refused(RejectReason.UNKNOWN_ACCOUNT, message)


def check_instrument(command: ListInstrument) -> Refused | None:
    symbol = command.symbol
    if symbol == CASH:
        return Refused(RejectReason.ALREADY_EXISTS, f"{CASH} is the cash asset")
    if not (0 < len(symbol) <= MAX_SYMBOL_LENGTH and symbol.isascii() and symbol.isprintable() and " " not in symbol):
        message = f"{shown(symbol)} is no symbol: those have 1..{MAX_SYMBOL_LENGTH} visible ASCII characters"
        return Refused(RejectReason.UNKNOWN_SYMBOL, message)
    if not 0 < command.tick_micros <= MAX_PRICE_MICROS:
        message = f"tick {shown(command.tick_micros)} is not within 1..{MAX_PRICE_MICROS} micro-dollars"
        return Refused(RejectReason.INVALID_PRICE, message)
    return None


def shown(value: int | str | None) -> str:
    """A value from outside, short enough for a message. Python itself refuses to print the very largest integers."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"of {value.bit_length()} bits"
    return repr(value[:64] if isinstance(value, str) else value)


def _bad_client_order_id(client_order_id: str) -> Refused:
    message = (
        f"client_order_id {shown(client_order_id)} has {len(client_order_id)} characters; "
        f"it takes 1..{MAX_CLIENT_ORDER_ID_LENGTH} printable ones"
    )
    return Refused(RejectReason.INVALID_CLIENT_ORDER_ID, message)


def _bad_price(price_micros: int, tick_micros: int) -> Refused:
    message = (
        f"limit price {shown(price_micros)} is no multiple of the tick {tick_micros} "
        f"within 1..{MAX_PRICE_MICROS} micro-dollars"
    )
    return Refused(RejectReason.INVALID_PRICE, message)
