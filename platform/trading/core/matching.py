"""What becomes of an order in the market: it waits, it trades, it rests, or what is left of it is canceled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from trading.core import lifecycle
from trading.core.events import OrderActivated, OrderRested, OrderTriggered, PhaseChanged, StopMoved
from trading.core.funds import check_buy
from trading.core.ledger import need
from trading.core.order_book import BookSide
from trading.core.orders import (
    BUY,
    MAX_PRICE_MICROS,
    SELL,
    STOP_TYPES,
    CancelReason,
    OrderId,
    OrderType,
    Phase,
    SelfTrade,
    Side,
    SpecialTerms,
    Symbol,
    TimeInForce,
)
from trading.core.stops import stop_behind, trailing_stop
from trading.core.trades import trade
from trading.core.venue import Market, Order, Stage, Venue

# A NamedTuple's own constructor takes twice as long.
_Rested: TypeAlias = tuple[OrderId, Symbol, Side, int, int, int]
_rested: Final[Callable[[_Rested], OrderRested]] = partial(tuple.__new__, OrderRested)

_CONTINUOUS: Final = Phase.CONTINUOUS
_FOK: Final = TimeInForce.FOK
_CLS: Final = TimeInForce.CLS
_UNFILLED: Final = CancelReason.UNFILLED
_SELF_TRADE: Final = CancelReason.SELF_TRADE
_GROUP: Final = CancelReason.GROUP


def enter(venue: Venue, order: Order) -> None:
    """Puts an order that is in no queue into play."""
    market = order.market
    if order.accepted[5] in STOP_TYPES and not order.triggered:
        _wait_for_stop(venue, order)
    elif order.accepted[6] is _CLS and market.phase is not Phase.PRE_CLOSE:
        order.stage = Stage.WAITING
        market.waiting_for_close[order.order_id] = order
    elif market.phase is not _CONTINUOUS:
        rest(venue, order)
    else:
        _trade_now(venue, order)


def rest(venue: Venue, order: Order) -> None:
    """Joins the end of the queue at its price."""
    market = order.market
    market.last_place = place = market.last_place + 1
    own, _ = market.book.sides[order.side]
    own.add(place, order.price_micros, order.leaves)
    stand(venue, order, place)


def stand(venue: Venue, order: Order, place: int) -> None:
    """Now this order is the one behind ``place`` in the book."""
    order.stage, order.place, market = Stage.RESTING, place, order.market
    market.resting[place] = order
    symbol, side = market.instrument[0], order.side
    venue.events.append(_rested((order.order_id, symbol, side, order.price_micros, order.leaves, place)))


def _wait_for_stop(venue: Venue, order: Order) -> None:
    special = order.accepted.special
    assert special is not None
    if order.accepted.order_type is OrderType.TRAILING_STOP:
        if order.high_water_micros is None:
            order.high_water_micros = order.market.mark_micros
        order.stop_micros = trailing_stop(order)
        venue.moved_stops[order.order_id] = (order, None)
    else:
        order.stop_micros = special.stop_price_micros
    order.stage = Stage.WAITING
    order.market.stops.add(order)


def first_trailing_stop(market: Market, side: Side, special: SpecialTerms) -> int:
    return stop_behind(market.instrument, side, special, market.mark_micros)


# -- continuous trading ------------------------------------------------------------------------------


def _trade_now(venue: Venue, taker: Order) -> None:
    market = taker.market
    _, opposite = market.book.sides[taker.side]
    best_micros = opposite.best()
    if best_micros is None or not crosses(taker.side, taker.price_micros, best_micros):
        _keep(venue, taker)
        return
    limit_micros = within_bands(market, taker.side, taker.price_micros, opposite.best())
    if taker.accepted[6] is _FOK and _available(taker, opposite, limit_micros) < taker.leaves:
        lifecycle.cancel(venue, taker, _UNFILLED)
        return
    if may_meet_itself(taker):
        _take_one_by_one(venue, taker, opposite, limit_micros)
    else:
        resting = market.resting
        for place, price_micros, quantity, _ in opposite.take(taker.leaves, limit_micros):
            trade(venue, taker, resting[place], price_micros, quantity)
    if taker.stage is not Stage.CLOSED:
        _dispose(venue, taker, opposite)


def _dispose(venue: Venue, taker: Order, opposite: BookSide) -> None:
    """Halts the market that reached its band, then sees to what is left."""
    market, best_micros = taker.market, opposite.best()
    if market.bands is not None and best_micros is not None and crosses(taker.side, taker.price_micros, best_micros):
        market.phase = Phase.HALTED
        market.reopens_at_ns = venue.now_ns + market.instrument.halt_ns
        changed = (market.instrument.symbol, market.phase, market.reference_micros, market.reopens_at_ns)
        venue.events.append(PhaseChanged(*changed))
    _keep(venue, taker)


def _keep(venue: Venue, taker: Order) -> None:
    """Lets what continuous trading left of an order rest, or cancels it."""
    if taker.lasts:
        rest(venue, taker)
    else:
        lifecycle.cancel(venue, taker, _UNFILLED)


def may_meet_itself(taker: Order) -> bool:
    """Its account has open orders on the other side: shares reserved for sale, or purchases under way."""
    return (taker.holding.reserved if taker.side is BUY else taker.holding.buying) > 0


def crosses(side: Side, limit_micros: int, price_micros: int) -> bool:
    """An order of ``side`` with this limit may trade at this price."""
    return price_micros <= limit_micros if side is BUY else price_micros >= limit_micros


def within_bands(market: Market, side: Side, limit_micros: int, best_micros: int | None) -> int:
    """The limit that keeps an order within the bands; a limit nobody meets when the best price is before them."""
    if market.bands is None or best_micros is None:
        return limit_micros
    low_micros, high_micros = market.bands
    if side is BUY:
        return min(limit_micros, high_micros) if best_micros >= low_micros else 0
    return max(limit_micros, low_micros) if best_micros <= high_micros else MAX_PRICE_MICROS + 1


def _available(taker: Order, opposite: BookSide, limit_micros: int) -> int:
    """How much a fill-or-kill order could trade."""
    if not may_meet_itself(taker):
        return opposite.depth(limit_micros)
    resting, skips = taker.market.resting, taker.account.terms.self_trade is SelfTrade.CANCEL_OLDEST
    available = 0
    for place, price_micros, leaves in opposite.queue():
        if not crosses(taker.side, limit_micros, price_micros):
            break
        if resting[place].account is not taker.account:
            available += leaves
        elif not skips:
            break
    return available


def _take_one_by_one(venue: Venue, taker: Order, opposite: BookSide, limit_micros: int) -> None:
    """The slow path, for an account that may meet itself."""
    resting = taker.market.resting
    while taker.stage is not Stage.CLOSED:
        first = opposite.first()
        if first is None or not crosses(taker.side, limit_micros, first[1]):
            return
        maker = resting[first[0]]
        if maker.account is taker.account:
            _prevent_self_trade(venue, taker, maker)
        else:
            _, price_micros, quantity, _ = opposite.fill_first(taker.leaves)
            trade(venue, taker, maker, price_micros, quantity)


def _prevent_self_trade(venue: Venue, taker: Order, maker: Order) -> None:
    match taker.account.terms.self_trade:
        case SelfTrade.CANCEL_NEWEST:
            lifecycle.cancel(venue, taker, _SELF_TRADE)
        case SelfTrade.CANCEL_OLDEST:
            lifecycle.cancel(venue, maker, _SELF_TRADE)
        case SelfTrade.CANCEL_BOTH:
            lifecycle.cancel(venue, maker, _SELF_TRADE)
            lifecycle.cancel(venue, taker, _SELF_TRADE)
        case SelfTrade.DECREMENT:
            quantity = min(maker.leaves, taker.leaves)
            _decrement(venue, maker, quantity)
            _decrement(venue, taker, quantity)


def _decrement(venue: Venue, order: Order, quantity: int) -> None:
    if quantity == order.leaves:
        lifecycle.cancel(venue, order, _SELF_TRADE)
        return
    lifecycle.reduce(venue, order, quantity, _SELF_TRADE)
    if order.sibling is not None:
        lifecycle.reduce(venue, order.sibling, quantity, _GROUP)


# -- what trades set off -----------------------------------------------------------------------------


def finish(venue: Venue) -> None:
    """Works off what the command's trades set off, which may trade in turn, then tells where trailing stops went."""
    follow_ups = venue.follow_ups
    while follow_ups:
        order = follow_ups.popleft()
        if order.stage is Stage.ELECTED:
            _trigger(venue, order)
        elif order.legs:
            _activate(venue, order)
    moved = venue.moved_stops
    if moved:
        for order, before in sorted(moved.values(), key=lambda entry: entry[0].order_id):
            _tell_moved(venue, order, before)
        moved.clear()


def _tell_moved(venue: Venue, order: Order, before_micros: int | None) -> None:
    if order.stage is not Stage.WAITING or order.stop_micros == before_micros:
        return
    high_water, stop = order.high_water_micros or 0, order.stop_micros or 0
    venue.events.append(StopMoved(order.order_id, order.accepted.symbol, high_water, stop))


def _trigger(venue: Venue, order: Order) -> None:
    """An elected stop becomes a limit order, or a market order down to the collar's edge."""
    order.stage, order.triggered = Stage.ENTERING, True
    stop_micros, limit_micros = order.stop_micros or 0, order.accepted.limit_price_micros
    price_micros = limit_micros or order.market.edge(order.side, stop_micros)
    if order.side is BUY:
        price_micros = min(price_micros, order.price_micros)  # the collar may have been widened since it was accepted
    order.price_micros = price_micros
    venue.events.append(OrderTriggered(order.order_id, order.accepted.symbol, stop_micros, price_micros))
    sibling = order.sibling
    if sibling is not None:
        lifecycle.unlink(order)
        lifecycle.cancel(venue, sibling, _GROUP)
    if order.covered:
        lifecycle.cut_to(venue, order, min(price_micros, order.reserve_micros))
    else:
        order.reserve_micros = price_micros
        lifecycle.cover(venue, order)
    enter(venue, order)


def _activate(venue: Venue, entry: Order) -> None:
    """The entry is filled: its exits become live, if the account can still cover them."""
    legs = entry.legs
    for leg in legs:
        leg.parent = None
        if entry.reduced:
            lifecycle.reduce(venue, leg, entry.reduced, _GROUP)
    entry.legs = ()
    first = legs[0]
    first.reserve_micros = max(leg.price_micros for leg in legs)
    if not _can_cover(venue, first):
        for leg in legs:
            lifecycle.unlink(leg)
        for leg in legs:
            lifecycle.cancel(venue, leg, CancelReason.NOT_COVERED)
        return
    for leg in legs:
        leg.stage = Stage.ENTERING
        venue.events.append(OrderActivated(leg.order_id))
    lifecycle.cover(venue, first)
    for leg in reversed(legs):  # the stop-loss waits already when the take-profit trades
        if leg.stage is Stage.ENTERING:
            enter(venue, leg)


def _can_cover(venue: Venue, order: Order) -> bool:
    if order.side is SELL:
        return order.leaves <= order.holding.available
    needed = need(order.leaves, order.reserve_micros, venue.reserve_ppb)
    return check_buy(venue, order.account, order.holding, order.leaves, needed) is None
