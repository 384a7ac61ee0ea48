"""A new order in the place of an open one: checked as if the old one were gone, then swapped in one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trading.core import funds, lifecycle, matching
from trading.core.commands import ReplaceOrder
from trading.core.events import OrderAccepted, OrderReplaced, Outcome, Refused
from trading.core.instruments import shown
from trading.core.ledger import need
from trading.core.orders import (
    BUY,
    LASTING,
    LIMIT_TYPES,
    MAX_PRICE_MICROS,
    MAX_QUANTITY,
    PPM,
    OrderClass,
    OrderId,
    OrderType,
    RejectReason,
    SpecialTerms,
    TimeInForce,
)
from trading.core.placing import (
    check_collar,
    check_permission,
    check_post_only,
    unknown_account,
    worst_price,
    worst_value,
)
from trading.core.stops import stop_behind
from trading.core.terms import check_client_order_id, check_prices, check_quantity, exits_cross
from trading.core.venue import Order, Stage, Venue


@dataclass(slots=True)
class _Terms:
    """What the new order will be."""

    leaves: int
    limit_micros: int | None
    special: SpecialTerms | None
    time_in_force: TimeInForce


def replace(venue: Venue, command: ReplaceOrder) -> Outcome:
    account = venue.accounts.get(command.account_id)
    if account is None:
        return unknown_account(command.account_id)
    if answer := venue.client_order_ids.answer(command):
        return answer
    order = account.orders.get(command.order_id)
    if order is None or not _is_replaceable(order):
        return _not_replaceable(venue, command, order)
    wrong = _change_problem(command, order)
    refusal = check_client_order_id(command.client_order_id)
    if refusal or wrong:
        return refusal or Refused(RejectReason.INVALID_TERMS, wrong or "")
    new = _new_terms(command, order)
    return _check(venue, command, order, new) or _swap(venue, command, order, new)


# -- checks --------------------------------------------------------------------------------------------


def _is_replaceable(order: Order) -> bool:
    accepted = order.accepted
    if order.stage is Stage.HELD or accepted.time_in_force not in LASTING:
        return False
    return accepted.order_type is not OrderType.MARKET and (order.has_limit or not order.triggered)


def _not_replaceable(venue: Venue, command: ReplaceOrder, order: Order | None) -> Refused:
    if order is None and not 0 < command.order_id <= venue.last_order_id:
        message = f"account {command.account_id} has no order {shown(command.order_id)}"
        return Refused(RejectReason.UNKNOWN_ORDER, message)
    why = "is not open" if order is None else f"is {order.stage} and {order.accepted.order_type}"
    return Refused(RejectReason.NOT_REPLACEABLE, f"order {command.order_id} {why}: it cannot be replaced")


def _change_problem(command: ReplaceOrder, order: Order) -> str | None:
    accepted = order.accepted
    if command[4:] == (None,) * 5:
        return f"nothing of order {command.order_id} is to be changed"
    if command.limit_price_micros is not None and accepted.order_type not in LIMIT_TYPES:
        return f"a {accepted.order_type} order has no limit price"
    has_stop = order.waits_for_stop and accepted.order_type is not OrderType.TRAILING_STOP
    if command.stop_price_micros is not None and not has_stop:
        return f"order {command.order_id} has no stop price to change"
    if command.trail is not None:
        if accepted.order_type is not OrderType.TRAILING_STOP:
            return f"a {accepted.order_type} order has no trail"
        most = MAX_PRICE_MICROS if accepted.special is not None and accepted.special.trail_ppm is None else PPM - 1
        if not 0 < command.trail <= most:
            return f"trail {shown(command.trail)} is not within 1..{most}"
    if command.quantity is not None and _is_grouped(accepted):
        return f"order {command.order_id} belongs to a group, its quantity stays"
    if command.time_in_force is not None and command.time_in_force not in LASTING:
        return f"a replacement is day or gtc, not {command.time_in_force}"
    return None


def _is_grouped(accepted: OrderAccepted) -> bool:
    special = accepted.special
    return accepted.parent_id is not None or (special is not None and special.order_class is not OrderClass.SIMPLE)


def _new_terms(command: ReplaceOrder, order: Order) -> _Terms:
    accepted, special = order.accepted, order.accepted.special
    leaves = order.leaves
    if command.quantity is not None:
        leaves = command.quantity - (accepted.quantity - order.leaves)
    if special is not None and command.stop_price_micros is not None:
        special = special._replace(stop_price_micros=command.stop_price_micros)
    if special is not None and command.trail is not None:
        if special.trail_ppm is not None:
            special = special._replace(trail_ppm=command.trail)
        else:
            special = special._replace(trail_micros=command.trail)
    limit_micros = command.limit_price_micros or accepted.limit_price_micros
    return _Terms(leaves, limit_micros, special, command.time_in_force or accepted.time_in_force)


def _check(venue: Venue, command: ReplaceOrder, order: Order, new: _Terms) -> Refused | None:
    market, account = order.market, order.account
    if refusal := _check_terms(command, order, new):
        return refusal
    side = order.side
    price_micros = _price(order, new)
    own = side is not BUY or order.waits_for_stop  # the take-profit of a pair is worth what the pair reserves
    dearest_micros = price_micros if own else _pair_price(order, price_micros)
    value = worst_value(side, new.limit_micros, new.leaves, dearest_micros, market)
    return (
        check_permission(venue, account, market.instrument)
        or check_collar(order.accepted.order_type, side, new.limit_micros, market)
        or funds.check_size(account, new.leaves, value)
        or funds.check_rate(account, command.at_ns)
        or check_post_only(new.special, side, price_micros, market)
        or _check_account(venue, order, new, price_micros)
    )


def _check_terms(command: ReplaceOrder, order: Order, new: _Terms) -> Refused | None:
    if command.quantity is not None and not (new.leaves > 0 and command.quantity <= MAX_QUANTITY):
        done = order.accepted.quantity - order.leaves
        message = f"quantity {shown(command.quantity)} is not within {done + 1}..{MAX_QUANTITY}, {done} being done"
        return Refused(RejectReason.INVALID_QUANTITY, message)
    if refusal := _check_lots(command, order, new):
        return refusal
    prices = SpecialTerms(stop_price_micros=command.stop_price_micros)
    if refusal := check_prices(order.market.instrument, command.limit_price_micros, prices):
        return refusal
    return _check_pair(order, new)


def _check_pair(order: Order, new: _Terms) -> Refused | None:
    other = order.sibling
    if other is None:
        return None
    mine = new.special.stop_price_micros if order.waits_for_stop and new.special is not None else new.limit_micros
    take_profit, stop_loss = (other.price_micros, mine) if order.waits_for_stop else (mine, other.stop_micros)
    if not exits_cross(order.side, take_profit, stop_loss):
        return None
    message = f"the take-profit at {take_profit} would be on the wrong side of the stop-loss at {stop_loss}"
    return Refused(RejectReason.INVALID_TERMS, message)


def _check_lots(command: ReplaceOrder, order: Order, new: _Terms) -> Refused | None:
    """A new quantity, or one that is to last longer than the day; odd leaves alone are no reason to refuse a price."""
    lasts_longer = command.time_in_force is TimeInForce.GTC and order.accepted.time_in_force is not TimeInForce.GTC
    if command.quantity is None and not lasts_longer:
        return None
    special = new.special
    simple_day = new.time_in_force is TimeInForce.DAY and not (special is not None and special.post_only)
    quantity = new.leaves if command.quantity is None else command.quantity
    refusal = check_quantity(quantity, order.market.instrument, simple_day=simple_day)
    return None if refusal is None else Refused(RejectReason.INVALID_QUANTITY, refusal.message)


def _check_account(venue: Venue, order: Order, new: _Terms, price_micros: int) -> Refused | None:
    account, held = order.account, order.holding
    with _freed(venue, order):
        if refusal := funds.check_position(account, held, order.side, new.leaves):
            return refusal
        if order.side is not BUY:
            return funds.check_sale(venue, account, held, new.leaves, order.market)
        needed = need(new.leaves, _pair_price(order, price_micros), venue.reserve_ppb)
        return funds.check_buy(venue, account, held, new.leaves, needed)


@contextmanager
def _freed(venue: Venue, order: Order) -> Iterator[None]:
    """For the time of a question the old order, or the pair it belongs to, has nothing reserved."""
    holder = order if order.covered or order.sibling is None else order.sibling
    amount = lifecycle.required(venue, holder) if holder.covered else 0
    balance = order.account.cash if order.side is BUY else order.holding
    buying = holder.leaves if holder.covered and order.side is BUY else 0
    balance.available += amount
    balance.reserved -= amount
    order.holding.buying -= buying
    yield
    balance.available -= amount
    balance.reserved += amount
    order.holding.buying += buying


def _price(order: Order, new: _Terms) -> int:
    """The new order's worst price; a trailing stop's follows from the high-water mark it takes over."""
    special, market = new.special, order.market
    if new.limit_micros is None and special is not None and special.stop_price_micros is None:
        mark_micros = order.high_water_micros or 0
        return market.edge(order.side, stop_behind(market.instrument, order.side, special, mark_micros))
    return worst_price(order.accepted.order_type, order.side, new.limit_micros, special, market)


def _pair_price(order: Order, price_micros: int) -> int:
    return price_micros if order.sibling is None else max(price_micros, order.sibling.price_micros)


# -- the swap ------------------------------------------------------------------------------------------


def _swap(venue: Venue, command: ReplaceOrder, order: Order, new: _Terms) -> Outcome:
    account, market = order.account, order.market
    order_id = venue.last_order_id = OrderId(venue.last_order_id + 1)
    venue.client_order_ids.remember(command, order_id)
    account.count_order(command.at_ns)
    market.sequence += 1
    price_micros, pair_price_micros = _price(order, new), _pair_price(order, _price(order, new))
    keeps_place = order.stage is Stage.RESTING and new.limit_micros == order.price_micros
    keeps_place = keeps_place and new.leaves <= order.leaves
    rested_micros = _leave_keeping_place(order) if keeps_place else lifecycle.leave(order)
    withdrawn = (account.account_id, market.instrument.symbol, order.side, rested_micros, order.leaves)
    venue.events.append(OrderReplaced(order.order_id, *withdrawn, order_id))
    created = Order(_accepted(command, order, new, order_id), account, market, price_micros)
    venue.events.append(created.accepted)
    account.orders[order_id] = created
    was_covered = order.covered
    if was_covered:
        lifecycle.uncover(venue, order)
    _take_over(order, created)
    if was_covered:
        created.reserve_micros = pair_price_micros
        lifecycle.cover(venue, created)
    elif created.sibling is not None:
        lifecycle.cover_anew(venue, created.sibling, pair_price_micros)
    if keeps_place:
        _rest_in_place(venue, order, created)
    else:
        matching.enter(venue, created)
    return venue.events


def _accepted(command: ReplaceOrder, order: Order, new: _Terms, order_id: OrderId) -> OrderAccepted:
    old = order.accepted
    return OrderAccepted(
        order_id,
        old.account_id,
        command.client_order_id,
        old.symbol,
        old.side,
        old.order_type,
        new.time_in_force,
        new.leaves,
        new.limit_micros,
        new.special,
        old.parent_id,
        order.order_id,
    )


def _take_over(order: Order, created: Order) -> None:
    """Everybody who depended on the old order depends on the new one."""
    created.triggered, created.high_water_micros = order.triggered, order.high_water_micros
    created.grouped, created.reduced = order.grouped, order.reduced
    created.legs, created.sibling = order.legs, order.sibling
    for leg in order.legs:
        leg.parent = created
    if order.sibling is not None:
        order.sibling.sibling = created
    order.legs, order.sibling = (), None


def _leave_keeping_place(order: Order) -> int:
    order.stage = Stage.CLOSED
    del order.account.orders[order.order_id]
    return order.price_micros


def _rest_in_place(venue: Venue, order: Order, created: Order) -> None:
    """The book's queue keeps the place; only who stands in it, and for how much, changes."""
    market, place = order.market, order.place
    own, _ = market.book.sides[order.side]
    if created.leaves < order.leaves:
        own.reduce(place, order.price_micros, order.leaves - created.leaves)
    matching.stand(venue, created, place)
