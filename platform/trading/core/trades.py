"""One trade: who gives what to whom, what it costs them, and what it sets off."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from trading.core import lifecycle
from trading.core.errors import InvariantError
from trading.core.events import CASH, Bucket, Traded
from trading.core.ledger import AVAILABLE, RESERVED, need, posted
from trading.core.orders import (
    BUY,
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    PPB,
    AccountId,
    CancelReason,
    OrderId,
    Side,
    Symbol,
    TradeId,
)
from trading.core.venue import Account, Order, Stage, Venue

# A NamedTuple's own constructor takes twice as long.
_Trade: TypeAlias = tuple[TradeId, Symbol, int, int, Side, OrderId, AccountId, int, OrderId, AccountId, int, bool]
_traded: Final[Callable[[_Trade], Traded]] = partial(tuple.__new__, Traded)

_CENT: Final = MICROS_PER_DOLLAR // 100


def trade(venue: Venue, taker: Order, maker: Order, price_micros: int, quantity: int, *, auction: bool = False) -> None:
    """Books a fill of ``quantity`` for both orders; the book itself has changed already."""
    venue.last_trade_id = trade_id = TradeId(venue.last_trade_id + 1)
    taker_side, taker_account, maker_account = taker.side, taker.account, maker.account
    maker.leaves = maker_leaves = maker.leaves - quantity
    taker.leaves = taker_leaves = taker.leaves - quantity
    market = taker.market
    symbol = market.instrument[0]
    venue.events.append(
        _traded(
            (
                trade_id,
                symbol,
                price_micros,
                quantity,
                taker_side,
                maker.order_id,
                maker_account.account_id,
                maker_leaves,
                taker.order_id,
                taker_account.account_id,
                taker_leaves,
                auction,
            )
        )
    )
    if taker_side is BUY:
        _settle(venue, taker, maker, price_micros, quantity, taker=None if auction else taker)
    else:
        _settle(venue, maker, taker, price_micros, quantity, taker=None if auction else taker)
    market.trade_at(price_micros)
    if not maker_leaves:
        _filled(maker)
    if not taker_leaves:
        _filled(taker)
    if maker.grouped or taker.grouped:
        _tell_group(venue, maker, quantity)
        _tell_group(venue, taker, quantity)
    if market.stops:
        for order in market.stops.elect(price_micros, venue.moved_stops):
            order.stage = Stage.ELECTED
            venue.follow_ups.append(order)


def _settle(
    venue: Venue, buyer: Order, seller: Order, price_micros: int, quantity: int, *, taker: Order | None
) -> None:
    """Moves the money and the shares; in an auction nobody is the taker."""
    events, symbol = venue.events, buyer.market.instrument[0]
    buyer_id, seller_id = buyer.account.account_id, seller.account.account_id
    buyer_cash, seller_cash = buyer.account.cash, seller.account.cash
    bought, sold = buyer.holding, seller.holding
    exact = quantity * price_micros
    value = exact // MICROS_PER_SHARE
    if sold is not bought:  # else an auction let an account trade with itself: its position stays as it was
        sold.sold(quantity, value)
        bought.bought(quantity, value)
    if value:
        buyer_cash.reserved -= value
        seller_cash.available += value
        events.append(posted((buyer_id, RESERVED, seller_id, AVAILABLE, CASH, value)))
    sold.reserved -= quantity
    bought.available += quantity
    bought.buying -= quantity
    events.append(posted((seller_id, RESERVED, buyer_id, AVAILABLE, symbol, quantity)))
    fee = 0
    if venue.charges:
        fee = _charge(venue, buyer, seller, value, quantity, taker)
    elif value * MICROS_PER_SHARE == exact and price_micros == buyer.reserve_micros:
        return  # exactly what was reserved for it
    leaves, reserve_micros, ppb = buyer.leaves, buyer.reserve_micros, venue.reserve_ppb
    over = need(leaves + quantity, reserve_micros, ppb) - value - fee - need(leaves, reserve_micros, ppb)
    if over:
        lifecycle.give_back(venue, buyer, over)
    if buyer_cash.reserved < 0 or sold.reserved < 0:
        raise InvariantError(f"orders {buyer.order_id} and {seller.order_id} traded more than was reserved for them")


def _charge(venue: Venue, buyer: Order, seller: Order, value: int, quantity: int, taker: Order | None) -> int:
    """Takes the fees of one trade; returns what the buyer paid from its reservation."""
    fees, paid = venue.fees, {buyer: 0, seller: 0}
    if taker is not None:
        maker = seller if taker is buyer else buyer
        paid[taker] = _pay_fee(venue, taker, value * fees.taker_ppb // PPB)
        if fees.maker_ppb >= 0:
            paid[maker] = _pay_fee(venue, maker, value * fees.maker_ppb // PPB)
        else:
            _move(venue, venue.fee_account, maker.account, value * -fees.maker_ppb // PPB)
    _charge_regulatory(venue, seller, value, quantity, most=value - paid[seller])
    return paid[buyer]


def _pay_fee(venue: Venue, payer: Order, fee: int) -> int:
    if payer.side is BUY:
        _move(venue, payer.account, venue.fee_account, fee, bucket=RESERVED)
    else:
        _move(venue, payer.account, venue.fee_account, fee)
    return fee


def _charge_regulatory(venue: Venue, seller: Order, value: int, quantity: int, *, most: int) -> None:
    """Owed to the micro-dollar, charged by the cent: the difference is not lost, it has an account."""
    fees = venue.fees
    by_share = quantity * fees.regulatory_nanos_per_share // (1000 * MICROS_PER_SHARE)
    exact = value * fees.regulatory_ppb // PPB + min(by_share, fees.regulatory_cap_micros)
    charged = min(-(-exact // _CENT) * _CENT, most)
    exact = min(exact, charged)
    _move(venue, seller.account, venue.fee_account, exact)
    _move(venue, seller.account, venue.rounding_account, charged - exact)


def _move(venue: Venue, payer: Account, payee: Account, amount: int, *, bucket: Bucket = AVAILABLE) -> None:
    if not amount:
        return
    if bucket is RESERVED:
        payer.cash.reserved -= amount
    else:
        payer.cash.available -= amount
    payee.cash.available += amount
    venue.events.append(posted((payer.account_id, bucket, payee.account_id, AVAILABLE, CASH, amount)))


def _filled(order: Order) -> None:
    """Nothing is left of it; a resting order has left its book by having been filled."""
    if order.stage is Stage.RESTING:
        del order.market.resting[order.place]
    order.stage = Stage.CLOSED
    order.covered = False
    del order.account.orders[order.order_id]


def _tell_group(venue: Venue, order: Order, quantity: int) -> None:
    """The other exit shrinks with this one; an entry that is filled lets its exits live."""
    sibling = order.sibling
    if sibling is not None:
        if order.leaves:
            lifecycle.reduce(venue, sibling, quantity, CancelReason.GROUP)
        else:
            lifecycle.unlink(order)
            lifecycle.cancel(venue, sibling, CancelReason.GROUP)
    if order.legs and not order.leaves:
        venue.follow_ups.append(order)
