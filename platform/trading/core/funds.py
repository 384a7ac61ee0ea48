"""What an account can afford: buying power, shares free to sell, and its own limits."""

from __future__ import annotations

from trading.core.events import CASH, Refused
from trading.core.ledger import Balance, value_up
from trading.core.orders import BUY, MAX_ORDER_VALUE_MICROS, MICROS_PER_SHARE, RejectReason, Side, Symbol
from trading.core.venue import Account, Market, Venue


def buying_power(venue: Venue, account: Account) -> int:
    """In micro-dollars; below zero when the market has moved against a margin account.

    A multiple of the equity, less the value of every position and what open buys have reserved. For a cash account
    that is its available cash.
    """
    cash = account.cash
    if account.terms.multiplier == 1:
        return cash.available
    equity, exposure = cash.available + cash.reserved, cash.reserved
    for symbol, held in account.balances.items():
        if symbol == CASH:
            continue
        mark_micros, total = venue.markets[symbol].mark_micros, held.available + held.reserved
        if total > 0:
            value = total * mark_micros // MICROS_PER_SHARE
            equity += value
            exposure += value
        else:
            equity -= value_up(-total, mark_micros)
        if held.available < 0:
            exposure += value_up(-held.available, mark_micros)
    return account.terms.multiplier * equity - exposure


def check_buy(venue: Venue, account: Account, held: Balance, quantity: int, needed: int) -> Refused | None:
    """``held`` is the account's balance of what it buys; ``needed`` the cash to be reserved."""
    if account.terms.multiplier == 1:
        power = account.cash.available
    elif held.available + held.reserved + held.buying + quantity <= 0:
        return None  # it only covers what was sold short
    else:
        power = buying_power(venue, account)
    if needed <= power:
        return None
    message = f"buying {quantity} micro-shares takes up to {needed} micro-dollars, the buying power is {power}"
    return Refused(RejectReason.INSUFFICIENT_BUYING_POWER, message)


def check_sale(venue: Venue, account: Account, held: Balance, quantity: int, market: Market) -> Refused | None:
    if quantity <= held.available:
        return None
    total, instrument = held.available + held.reserved, market.instrument
    if account.terms.multiplier == 1 or total > 0:
        message = f"selling {quantity} micro-shares of {instrument.symbol}, free to sell are {held.available}"
        return Refused(RejectReason.INSUFFICIENT_SHARES, message)
    if not instrument.shortable:
        return Refused(RejectReason.NOT_SHORTABLE, f"{instrument.symbol} cannot be sold short")
    if quantity % instrument.lot:
        message = f"{quantity} micro-shares cannot be sold short: no multiple of the lot {instrument.lot}"
        return Refused(RejectReason.INVALID_QUANTITY, message)
    needed, power = value_up(quantity, market.mark_micros), buying_power(venue, account)
    if needed <= power:
        return None
    message = f"selling {quantity} micro-shares short takes {needed} micro-dollars, the buying power is {power}"
    return Refused(RejectReason.INSUFFICIENT_BUYING_POWER, message)


def check_leaving(venue: Venue, account: Account, asset: str, amount: int) -> Refused | None:
    """May this much be withdrawn or transferred away?"""
    available = account.balances[asset].available if asset in account.balances else 0
    reason = RejectReason.INSUFFICIENT_BUYING_POWER if asset == CASH else RejectReason.INSUFFICIENT_SHARES
    if amount > available:
        return Refused(reason, f"{amount} {asset} cannot leave, available are {available}")
    multiplier = account.terms.multiplier
    if multiplier == 1:
        return None
    power = buying_power(venue, account)
    if asset == CASH:
        needed = multiplier * amount
    else:
        needed = (multiplier - 1) * (amount * venue.markets[asset].mark_micros // MICROS_PER_SHARE)
    if needed <= power:
        return None
    return Refused(reason, f"{amount} {asset} secure a buying power of {needed}, of which {power} is left")


def check_size(account: Account, quantity: int, value: int) -> Refused | None:
    """``value`` in micro-dollars, at the worst price."""
    if value > MAX_ORDER_VALUE_MICROS:
        message = f"{quantity} micro-shares are worth {value} micro-dollars, more than {MAX_ORDER_VALUE_MICROS}"
        return Refused(RejectReason.ORDER_VALUE_TOO_LARGE, message)
    limits = account.terms.limits
    if limits.order_quantity is not None and quantity > limits.order_quantity:
        return _over(RejectReason.ORDER_QUANTITY_LIMIT, quantity, limits.order_quantity, "micro-shares an order")
    if limits.order_value_micros is not None and value > limits.order_value_micros:
        return _over(RejectReason.ORDER_VALUE_LIMIT, value, limits.order_value_micros, "micro-dollars an order")
    return None


def check_open_orders(account: Account, more: int) -> Refused | None:
    limit = account.terms.limits.open_orders
    if limit is None or len(account.orders) + more <= limit:
        return None
    return _over(RejectReason.OPEN_ORDER_LIMIT, len(account.orders) + more, limit, "open orders")


def check_rate(account: Account, at_ns: int) -> Refused | None:
    limit = account.terms.limits.orders_per_s
    if limit is None or account.orders_in_second(at_ns) < limit:
        return None
    return _over(RejectReason.ORDER_RATE_LIMIT, account.orders_in_second(at_ns) + 1, limit, "orders a second")


def check_position(account: Account, held: Balance, side: Side, quantity: int) -> Refused | None:
    limit = account.terms.limits.position
    if limit is None:
        return None
    before = held.available + held.reserved + held.buying if side is BUY else -held.available
    position = before + quantity
    if position <= limit:
        return None
    return _over(RejectReason.POSITION_LIMIT, position, limit, "micro-shares long or short")


def _over(reason: RejectReason, wanted: int, limit: int, unit: str) -> Refused:
    return Refused(reason, f"that would make {wanted} {unit}, the account's limit is {limit}")


def unknown_symbol(symbol: Symbol | str) -> Refused:
    return Refused(RejectReason.UNKNOWN_SYMBOL, f"symbol {symbol[:64]!r} is not listed")
