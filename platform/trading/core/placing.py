"""A new order: everything that can refuse it, before anything changes, and then its acceptance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from trading.core import funds, lifecycle, matching
from trading.core.commands import PlaceOrder
from trading.core.events import OrderAccepted, OrderActivated, Outcome, Refused
from trading.core.instruments import shown
from trading.core.ledger import need, value_up
from trading.core.orders import (
    BUY,
    LASTING,
    MAX_CLIENT_ORDER_ID_LENGTH,
    MAX_ORDER_VALUE_MICROS,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    MICROS_PER_DOLLAR,
    MICROS_PER_SHARE,
    PLAIN,
    PPB,
    SELL,
    AccountId,
    Instrument,
    OrderClass,
    OrderId,
    OrderType,
    Phase,
    RejectReason,
    Side,
    SpecialTerms,
    TimeInForce,
)
from trading.core.terms import check_terms
from trading.core.venue import Account, Market, Order, Stage, Venue

# A NamedTuple's own constructor takes twice as long.
_accepted: Final[Callable[[tuple[object, ...]], OrderAccepted]] = partial(tuple.__new__, OrderAccepted)

_CONTINUOUS: Final = Phase.CONTINUOUS
_LIMIT: Final = OrderType.LIMIT
_MARKET: Final = OrderType.MARKET
_MAX_VALUE: Final = MAX_ORDER_VALUE_MICROS * MICROS_PER_SHARE


def place(venue: Venue, command: PlaceOrder) -> Outcome:
    _, account_id, _, symbol, _, _, _, _, limit_micros, _ = command
    account = venue.accounts.get(account_id)
    if account is None:
        return unknown_account(account_id)
    if answer := venue.client_order_ids.answer(command):
        return answer
    market = venue.markets.get(symbol)
    if market is None:
        return funds.unknown_symbol(symbol)
    if limit_micros is not None and _is_plainly_fine(venue, command, account, market, limit_micros):
        return _accept(venue, command, account, market, command.quantity, limit_micros)
    return _place_checked(venue, command, account, market)


def _place_checked(venue: Venue, command: PlaceOrder, account: Account, market: Market) -> Outcome:
    refusal = (
        check_terms(command, market.instrument)
        or check_permission(venue, account, market.instrument)
        or _check_phase(command, market)
        or _check_market(command, market)
    )
    if refusal:
        return refusal
    price_micros = worst_price(command.order_type, command.side, command.limit_price_micros, command.special, market)
    quantity = command.quantity
    if not quantity:
        quantity = _affordable(venue, command, account, market, price_micros)
        if not quantity:
            message = f"{_notional(command)} micro-dollars trade nothing at {price_micros} or better"
            return Refused(RejectReason.NO_LIQUIDITY, message)
    return _check_account(venue, command, account, market, quantity, price_micros) or _accept(
        venue, command, account, market, quantity, price_micros
    )


# -- checks --------------------------------------------------------------------------------------------


def _is_plainly_fine(venue: Venue, command: PlaceOrder, account: Account, market: Market, limit_micros: int) -> bool:
    """Says yes to what nearly everybody sends, a plain limit order, in one expression: most of a busy day is this.

    It agrees with the checks one by one; what it does not say yes to goes through those.
    """
    _, _, client_order_id, symbol, side, order_type, time_in_force, quantity, _, special = command
    _, tick, sub_dollar_tick, lot, _, _, _, _, tradable, _, _ = market.instrument
    if not (
        account.unrestricted
        and special is None
        and order_type is _LIMIT
        and time_in_force in LASTING
        and 0 < quantity <= MAX_QUANTITY
        and not quantity % lot
        and 0 < limit_micros <= MAX_PRICE_MICROS
        and not limit_micros % (tick if limit_micros >= MICROS_PER_DOLLAR else sub_dollar_tick)
        and 0 < len(client_order_id) <= MAX_CLIENT_ORDER_ID_LENGTH
        and client_order_id.isprintable()
        and tradable
        and not venue.killed
        and quantity * limit_micros <= _MAX_VALUE
    ):
        return False
    if side is BUY:
        affordable = need(quantity, limit_micros, venue.reserve_ppb) <= account.cash.available
        return affordable and limit_micros <= market.highest_buy_micros
    held = account.balances.get(symbol)
    return held is not None and quantity <= held.available and limit_micros >= market.lowest_sale_micros


def check_permission(venue: Venue, account: Account, instrument: Instrument) -> Refused | None:
    if venue.killed or account.killed:
        whose = "everybody's" if venue.killed else f"account {account.account_id}'s"
        return Refused(RejectReason.KILL_SWITCH, f"{whose} kill switch is engaged")
    if account.terms.blocked:
        return Refused(RejectReason.ACCOUNT_BLOCKED, f"account {account.account_id} is blocked")
    if not instrument.tradable:
        return Refused(RejectReason.NOT_TRADABLE, f"{instrument.symbol} is not tradable")
    return None


def _check_phase(command: PlaceOrder, market: Market) -> Refused | None:
    phase, time_in_force = market.phase, command.time_in_force
    if time_in_force is TimeInForce.OPG:
        fits = phase in (Phase.CLOSED, Phase.PRE_OPEN)
    else:
        at_once = time_in_force in (TimeInForce.IOC, TimeInForce.FOK) or not command.quantity
        fits = phase is _CONTINUOUS or not at_once
    if fits:
        return None
    what = f"a {time_in_force} order" if command.quantity else "an order for a sum"
    return Refused(RejectReason.WRONG_PHASE, f"{what} is not taken while {command.symbol} is {phase}")


def worst_price(
    order_type: OrderType, side: Side, limit_micros: int | None, special: SpecialTerms | None, market: Market
) -> int:
    """The worst price an order may trade at, for all that is known when it is accepted."""
    if limit_micros is not None:
        return limit_micros
    if order_type is _MARKET or special is None:
        return market.edge(side)
    if special.stop_price_micros is not None:
        return market.edge(side, special.stop_price_micros)
    return market.edge(side, matching.first_trailing_stop(market, side, special))


def check_collar(order_type: OrderType, side: Side, limit_micros: int | None, market: Market) -> Refused | None:
    if order_type is not _LIMIT or limit_micros is None:
        return None
    edge_micros = market.edge(side)
    if matching.crosses(side, edge_micros, limit_micros):
        return None
    message = f"a {side} at {limit_micros} is beyond the collar's {edge_micros}, the mark being {market.mark_micros}"
    return Refused(RejectReason.PRICE_OUTSIDE_COLLAR, message)


def _check_market(command: PlaceOrder, market: Market) -> Refused | None:
    if refusal := check_collar(command.order_type, command.side, command.limit_price_micros, market):
        return refusal
    waits = command.time_in_force is TimeInForce.CLS
    if command.order_type is _MARKET and market.phase is _CONTINUOUS and not waits:
        _, opposite = market.book.sides[command.side]
        if not opposite:
            message = f"nobody is there to trade {command.symbol} with: 0 shares offered"
            return Refused(RejectReason.NO_LIQUIDITY, message)
    return None


def check_post_only(special: SpecialTerms | None, side: Side, price_micros: int, market: Market) -> Refused | None:
    if special is None or not special.post_only or market.phase is not _CONTINUOUS:
        return None
    best_micros = market.book.sides[side][1].best()
    if best_micros is None or not matching.crosses(side, price_micros, best_micros):
        return None
    return Refused(RejectReason.WOULD_TAKE, f"a post_only {side} at {price_micros} would trade at {best_micros}")


def worst_value(side: Side, limit_micros: int | None, quantity: int, price_micros: int, market: Market) -> int:
    """What the order is worth for the limits: at its worst price, a sale without a limit at the mark."""
    if side is SELL and limit_micros is None:
        price_micros = market.mark_micros
    return value_up(quantity, price_micros)


def _check_account(
    venue: Venue, command: PlaceOrder, account: Account, market: Market, quantity: int, price_micros: int
) -> Refused | None:
    side, special, held = command.side, command.special, account.holding(command.symbol)
    reserve_micros = _reserve_price(command, market, price_micros)
    value = worst_value(side, command.limit_price_micros, quantity, reserve_micros, market)
    refusal = (
        funds.check_size(account, quantity, value)
        or funds.check_open_orders(account, 1 if special is None else 1 + len(_legs(command, special)))
        or funds.check_rate(account, command.at_ns)
        or check_post_only(special, side, price_micros, market)
        or funds.check_position(account, held, side, quantity)
    )
    if refusal:
        return refusal
    if side is SELL:
        return funds.check_sale(venue, account, held, quantity, market)
    return funds.check_buy(venue, account, held, quantity, need(quantity, reserve_micros, venue.reserve_ppb))


def _reserve_price(command: PlaceOrder, market: Market, price_micros: int) -> int:
    special = command.special
    if special is None or special.order_class is not OrderClass.OCO or command.side is SELL:
        return price_micros
    return max(price_micros, _exit_price(special, command.side, market))


def _exit_price(special: SpecialTerms, side: Side, market: Market) -> int:
    """The worst price of a stop-loss."""
    return special.stop_loss_limit_micros or market.edge(side, special.stop_loss_micros)


def _notional(command: PlaceOrder) -> int:
    return (command.special.notional_micros if command.special is not None else None) or 0


def _affordable(venue: Venue, command: PlaceOrder, account: Account, market: Market, price_micros: int) -> int:
    """How many micro-shares an order's dollars trade now; nothing can come between this and the trades."""
    remaining = _notional(command)
    if command.side is BUY:
        remaining = remaining * PPB // (PPB + venue.reserve_ppb)
    quantity = 0
    for place_, maker_micros, leaves in market.book.sides[command.side][1].queue():
        if not matching.crosses(command.side, price_micros, maker_micros):
            break
        if market.resting[place_].account is account:
            continue
        taken = min(leaves, remaining * MICROS_PER_SHARE // maker_micros)
        quantity += taken
        remaining -= taken * maker_micros // MICROS_PER_SHARE
        if taken < leaves:
            break
    return quantity


# -- acceptance ----------------------------------------------------------------------------------------


def _accept(
    venue: Venue, command: PlaceOrder, account: Account, market: Market, quantity: int, price_micros: int
) -> Outcome:
    order_id = venue.last_order_id = OrderId(venue.last_order_id + 1)
    venue.client_order_ids.remember(command, order_id)
    account.count_order(command.at_ns)
    market.sequence += 1
    _, owner, name, symbol, side, order_type, time_in_force, _, limit_micros, special = command
    terms = (symbol, side, order_type, time_in_force, quantity, limit_micros, special)
    accepted = _accepted((order_id, owner, name, *terms, None, None))
    venue.events.append(accepted)
    order = account.orders[order_id] = Order(accepted, account, market, price_micros)
    if special is not None:
        _open_legs(venue, command, order)
    lifecycle.cover(venue, order)
    if order.grouped and order.sibling is not None:
        order.sibling.stage = Stage.ENTERING
        venue.events.append(OrderActivated(order.sibling.order_id))
        matching.enter(venue, order.sibling)
    matching.enter(venue, order)
    return venue.events


def _open_legs(venue: Venue, command: PlaceOrder, order: Order) -> None:
    legs = tuple(_open_leg(venue, order, leg) for leg in _legs(command, command.special or PLAIN))
    if legs:
        order.reserve_micros = _reserve_price(command, order.market, order.price_micros)
        _link(order, legs)


_Leg = tuple[OrderType, int | None, SpecialTerms | None]


def _legs(command: PlaceOrder, special: SpecialTerms) -> list[_Leg]:
    """(type, limit price, special terms) of each leg, the take-profit first; an oco is its own take-profit."""
    legs: list[_Leg] = []
    if special.take_profit_micros is not None and special.order_class is not OrderClass.OCO:
        legs.append((_LIMIT, special.take_profit_micros, None))
    if special.stop_loss_micros is not None:
        limit_micros = special.stop_loss_limit_micros
        order_type = OrderType.STOP if limit_micros is None else OrderType.STOP_LIMIT
        legs.append((order_type, limit_micros, SpecialTerms(stop_price_micros=special.stop_loss_micros)))
    return legs


def _open_leg(venue: Venue, parent: Order, leg: _Leg) -> Order:
    order_type, limit_micros, special = leg
    entry, market = parent.accepted, parent.market
    assert entry.special is not None
    side = entry.side
    if entry.special.order_class is not OrderClass.OCO:
        side = SELL if side is BUY else BUY
    order_id = venue.last_order_id = OrderId(venue.last_order_id + 1)
    accepted = OrderAccepted(
        order_id,
        entry.account_id,
        "",
        entry.symbol,
        side,
        order_type,
        entry.time_in_force,
        entry.quantity,
        limit_micros,
        special,
        entry.order_id,
        None,
    )
    venue.events.append(accepted)
    order = Order(accepted, parent.account, market, worst_price(order_type, side, limit_micros, special, market))
    order.stage, order.grouped = Stage.HELD, True
    parent.account.orders[order_id] = order
    return order


def _link(order: Order, legs: tuple[Order, ...]) -> None:
    assert order.accepted.special is not None
    order.grouped = True
    if order.accepted.special.order_class is OrderClass.OCO:
        order.sibling, legs[0].sibling = legs[0], order
        return
    order.legs = legs
    for leg in legs:
        leg.parent = order
    if len(legs) == 2:
        legs[0].sibling, legs[1].sibling = legs[1], legs[0]


def unknown_account(account_id: AccountId) -> Refused:
    return Refused(RejectReason.UNKNOWN_ACCOUNT, f"account {shown(account_id)} is not open")
