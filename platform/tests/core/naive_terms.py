"""Which terms of orders and replacements go together, as the naive exchange reads the rules."""

from __future__ import annotations

from trading.core.commands import PlaceOrder, ReplaceOrder
from trading.core.orders import MAX_ORDER_VALUE_MICROS, PLAIN, OrderClass, OrderType, Side, SpecialTerms, TimeInForce

from .naive_prices import MAX_PRICE
from .naive_records import STOPS, WITH_LIMIT, Order

LASTING = {TimeInForce.DAY, TimeInForce.GTC}
AT_ONCE = {TimeInForce.IOC, TimeInForce.FOK}
AUCTION_ONLY = {TimeInForce.OPG, TimeInForce.CLS}


def opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def a_trail_is_possible(micros: int | None, ppm: int | None) -> bool:
    if micros is not None:
        return ppm is None and 1 <= micros <= MAX_PRICE
    return ppm is not None and 1 <= ppm <= 999_999


def on_the_right_sides(exit_side: Side, take_profit: int | None, stop_loss: int | None) -> bool:
    if take_profit is None or stop_loss is None:
        return True
    return take_profit > stop_loss if exit_side is Side.SELL else take_profit < stop_loss


def terms_hold(command: PlaceOrder) -> bool:
    kind, lasting, terms = command.order_type, command.time_in_force, command.special or PLAIN
    simple = terms.order_class is OrderClass.SIMPLE
    if terms.notional_micros is not None:
        possible = kind is OrderType.MARKET and command.quantity == 0 and simple
        if not possible or not 1 <= terms.notional_micros <= MAX_ORDER_VALUE_MICROS:
            return False
    if (terms.stop_price_micros is not None) != (kind in {OrderType.STOP, OrderType.STOP_LIMIT}):
        return False
    if kind is OrderType.TRAILING_STOP:
        if not a_trail_is_possible(terms.trail_micros, terms.trail_ppm):
            return False
    elif terms.trail_micros is not None or terms.trail_ppm is not None:
        return False
    if terms.post_only and not (kind is OrderType.LIMIT and lasting in LASTING and simple):
        return False
    if kind in STOPS and lasting not in LASTING:
        return False
    return class_holds(command, terms)


def class_holds(command: PlaceOrder, terms: SpecialTerms) -> bool:
    kind, take_profit, stop_loss = command.order_type, terms.take_profit_micros, terms.stop_loss_micros
    if terms.stop_loss_limit_micros is not None and stop_loss is None:
        return False
    if terms.order_class is OrderClass.SIMPLE:
        return take_profit is None and stop_loss is None
    if command.time_in_force not in LASTING:
        return False
    given = (take_profit is not None) + (stop_loss is not None)
    if terms.order_class is OrderClass.OCO:
        is_its_limit = kind is OrderType.LIMIT and command.limit_price_micros == take_profit
        return is_its_limit and given == 2 and on_the_right_sides(command.side, take_profit, stop_loss)
    wanted = 2 if terms.order_class is OrderClass.BRACKET else 1
    right = on_the_right_sides(opposite(command.side), take_profit, stop_loss)
    return kind in {OrderType.MARKET, OrderType.LIMIT} and given == wanted and right


def reaches(order: Order, price: int) -> bool:
    """Whether the order may trade at the price of one on the other side."""
    return price <= order.price if order.side is Side.BUY else price >= order.price


def is_replaceable(order: Order) -> bool:
    at_market = order.order_type is OrderType.MARKET or (order.triggered and order.limit is None)
    return not order.held and not at_market and order.lasting in LASTING


def replacing_terms_hold(command: ReplaceOrder, old: Order) -> bool:
    given = command[4:]
    if all(term is None for term in given):
        return False
    if command.limit_price_micros is not None and old.order_type not in WITH_LIMIT:
        return False
    has_stop = old.is_stop and old.order_type is not OrderType.TRAILING_STOP
    if command.stop_price_micros is not None and not has_stop:
        return False
    if command.trail is not None:
        if old.order_type is not OrderType.TRAILING_STOP:
            return False
        in_micros = old.terms.trail_micros is not None
        if not a_trail_is_possible(*(command.trail, None) if in_micros else (None, command.trail)):
            return False
    if command.quantity is not None and old.belongs_to_a_group:
        return False
    return command.time_in_force is None or command.time_in_force in LASTING
