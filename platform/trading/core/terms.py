"""Is this an order at all, whatever its account holds and whatever its market is like? The checks of a single order."""

from __future__ import annotations

from typing import Final

from trading.core.commands import PlaceOrder
from trading.core.events import Refused
from trading.core.instruments import is_price, shown
from trading.core.orders import (
    BUY,
    LASTING,
    LIMIT_TYPES,
    MAX_CLIENT_ORDER_ID_LENGTH,
    MAX_ORDER_VALUE_MICROS,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    PLAIN,
    PPM,
    Instrument,
    OrderClass,
    OrderType,
    RejectReason,
    Side,
    SpecialTerms,
    TimeInForce,
)

_MARKET: Final = OrderType.MARKET
_LIMIT: Final = OrderType.LIMIT
_DAY: Final = TimeInForce.DAY
_PLAIN_TYPES: Final = (_MARKET, _LIMIT)
_STOPPED: Final = (OrderType.STOP, OrderType.STOP_LIMIT)


def check_client_order_id(client_order_id: str) -> Refused | None:
    # What cannot be printed cannot be stored either: PostgreSQL takes no NUL, UTF-8 no lone surrogate.
    if 0 < len(client_order_id) <= MAX_CLIENT_ORDER_ID_LENGTH and client_order_id.isprintable():
        return None
    message = (
        f"client_order_id {shown(client_order_id)} has {len(client_order_id)} characters; "
        f"it takes 1..{MAX_CLIENT_ORDER_ID_LENGTH} printable ones"
    )
    return Refused(RejectReason.INVALID_CLIENT_ORDER_ID, message)


def check_terms(order: PlaceOrder, instrument: Instrument) -> Refused | None:
    _, _, client_order_id, _, _, order_type, time_in_force, quantity, limit_micros, special = order
    if refusal := check_client_order_id(client_order_id):
        return refusal
    is_plain = special is None and order_type in _PLAIN_TYPES
    if not is_plain and (wrong := _special_problem(order, special or PLAIN)):
        return Refused(RejectReason.INVALID_TERMS, wrong)
    if special is None or special.notional_micros is None:
        refusal = check_quantity(quantity, instrument, simple_day=_is_simple_day(time_in_force, special or PLAIN))
    else:
        refusal = _check_notional(order, instrument)
    if refusal:
        return refusal
    if (limit_micros is None) == (order_type in LIMIT_TYPES):
        given = "none" if limit_micros is None else f"{shown(limit_micros)} micro-dollars"
        return Refused(RejectReason.INVALID_PRICE, f"a {order_type} order came with limit price {given}")
    return check_prices(instrument, limit_micros, special)


def check_quantity(quantity: int, instrument: Instrument, *, simple_day: bool) -> Refused | None:
    if not 0 < quantity <= MAX_QUANTITY:
        message = f"quantity {shown(quantity)} is not within 1..{MAX_QUANTITY} micro-shares"
        return Refused(RejectReason.INVALID_QUANTITY, message)
    if not quantity % instrument.lot:
        return None
    if not instrument.fractionable:
        message = f"{quantity} micro-shares are no multiple of {instrument.symbol}'s lot of {instrument.lot}"
        return Refused(RejectReason.NOT_FRACTIONABLE, message)
    if not simple_day:
        message = f"{quantity} micro-shares are no multiple of the lot {instrument.lot}: only simple day orders may be"
        return Refused(RejectReason.INVALID_QUANTITY, message)
    return None


def check_prices(instrument: Instrument, limit_micros: int | None, special: SpecialTerms | None) -> Refused | None:
    if limit_micros is not None and not is_price(instrument, limit_micros):
        return _bad_price("limit price", limit_micros, instrument)
    if special is None:
        return None
    prices = {
        "stop price": special.stop_price_micros,
        "take-profit price": special.take_profit_micros,
        "stop-loss price": special.stop_loss_micros,
        "stop-loss limit": special.stop_loss_limit_micros,
    }
    for name, price_micros in prices.items():
        if price_micros is not None and not is_price(instrument, price_micros):
            return _bad_price(name, price_micros, instrument)
    return None


def _bad_price(name: str, price_micros: int, instrument: Instrument) -> Refused:
    message = (
        f"{name} {shown(price_micros)} is no multiple of the tick ({instrument.tick_micros}, below a dollar "
        f"{instrument.sub_dollar_tick_micros}) within 1..{MAX_PRICE_MICROS} micro-dollars"
    )
    return Refused(RejectReason.INVALID_PRICE, message)


def exits_cross(exit_side: Side, take_profit_micros: int | None, stop_loss_micros: int | None) -> bool:
    """A pair of exits of which one would be on the wrong side of the other."""
    if take_profit_micros is None or stop_loss_micros is None:
        return False
    return take_profit_micros >= stop_loss_micros if exit_side is BUY else take_profit_micros <= stop_loss_micros


def _is_simple_day(time_in_force: TimeInForce, special: SpecialTerms) -> bool:
    return time_in_force is _DAY and special.order_class is OrderClass.SIMPLE and not special.post_only


def _check_notional(order: PlaceOrder, instrument: Instrument) -> Refused | None:
    if not instrument.fractionable:
        return Refused(RejectReason.NOT_FRACTIONABLE, f"{instrument.symbol} is traded in whole lots, not for a sum")
    if order.time_in_force is not _DAY:
        return Refused(RejectReason.INVALID_TERMS, f"an order for a sum is a day order, not {order.time_in_force}")
    return None


def _special_problem(order: PlaceOrder, special: SpecialTerms) -> str | None:
    return (
        _notional_problem(order, special)
        or _stop_problem(order.order_type, order.time_in_force, special)
        or _post_only_problem(order, special)
        or _class_problem(order, special)
    )


def _notional_problem(order: PlaceOrder, special: SpecialTerms) -> str | None:
    if special.notional_micros is None:
        return None
    if order.order_type is not _MARKET or order.quantity or special.order_class is not OrderClass.SIMPLE:
        return "a notional goes with a simple market order without a quantity"
    if not 0 < special.notional_micros <= MAX_ORDER_VALUE_MICROS:
        return f"notional {shown(special.notional_micros)} is not within 1..{MAX_ORDER_VALUE_MICROS} micro-dollars"
    return None


def _stop_problem(order_type: OrderType, time_in_force: TimeInForce, special: SpecialTerms) -> str | None:
    if (special.stop_price_micros is not None) != (order_type in _STOPPED):
        return f"a {order_type} order came {'with' if special.stop_price_micros is not None else 'without'} stop price"
    trails = [trail for trail in (special.trail_micros, special.trail_ppm) if trail is not None]
    if len(trails) != (order_type is OrderType.TRAILING_STOP):
        return f"a {order_type} order came with {len(trails)} trails"
    if special.trail_micros is not None and not 0 < special.trail_micros <= MAX_PRICE_MICROS:
        return f"trail {shown(special.trail_micros)} is not within 1..{MAX_PRICE_MICROS} micro-dollars"
    if special.trail_ppm is not None and not 0 < special.trail_ppm < PPM:
        return f"trail {shown(special.trail_ppm)} is not within 1..{PPM - 1} ppm"
    if order_type not in _PLAIN_TYPES and time_in_force not in LASTING:
        return f"a {order_type} order is day or gtc, not {time_in_force}"
    return None


def _post_only_problem(order: PlaceOrder, special: SpecialTerms) -> str | None:
    if not special.post_only:
        return None
    simple = special.order_class is OrderClass.SIMPLE
    if order.order_type is _LIMIT and order.time_in_force in LASTING and simple:
        return None
    return "post_only goes with simple limit orders that are day or gtc"


def _class_problem(order: PlaceOrder, special: SpecialTerms) -> str | None:
    take_profit, stop_loss = special.take_profit_micros, special.stop_loss_micros
    order_class, exits = special.order_class, (take_profit is not None) + (stop_loss is not None)
    if special.stop_loss_limit_micros is not None and stop_loss is None:
        return "a stop-loss limit came without a stop-loss"
    if order_class is OrderClass.SIMPLE:
        return "a simple order has no exits" if exits else None
    if order.time_in_force not in LASTING:
        return f"a {order_class} order is day or gtc, not {order.time_in_force}"
    if exits != (1 if order_class is OrderClass.OTO else 2):
        return f"a {order_class} order came with {exits} exits"
    if order.order_type not in ((_LIMIT,) if order_class is OrderClass.OCO else _PLAIN_TYPES):
        return f"a {order.order_type} order is not {order_class}"
    if order_class is OrderClass.OCO and order.limit_price_micros != take_profit:
        return "an oco order's limit price is its take-profit"
    exit_side = order.side if order_class is OrderClass.OCO else Side.SELL if order.side is BUY else BUY
    if exits_cross(exit_side, take_profit, stop_loss):
        return f"the take-profit at {shown(take_profit)} is on the wrong side of the stop-loss at {shown(stop_loss)}"
    return None
