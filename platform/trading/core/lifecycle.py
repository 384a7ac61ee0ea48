"""An order's reservation, and how an order ends or shrinks without trading, with all who depend on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from trading.core.errors import InvariantError
from trading.core.events import CASH, OrderCanceled, OrderReduced
from trading.core.ledger import need, release, reserve
from trading.core.orders import BUY, CancelReason, OrderId, Side, Symbol
from trading.core.venue import Order, Stage, Venue

# A NamedTuple's own constructor takes twice as long.
_Canceled: TypeAlias = tuple[OrderId, int, Symbol, Side, int | None, int, CancelReason]
_canceled: Final[Callable[[_Canceled], OrderCanceled]] = partial(tuple.__new__, OrderCanceled)

_GROUP: Final = CancelReason.GROUP
_SESSION_CLOSED: Final = CancelReason.SESSION_CLOSED


def required(venue: Venue, order: Order) -> int:
    """What a covered order has reserved: micro-dollars of a buy, micro-shares of a sale."""
    return need(order.leaves, order.reserve_micros, venue.reserve_ppb) if order.side is BUY else order.leaves


def cover(venue: Venue, order: Order) -> None:
    """Makes the order's reservation."""
    account, order.covered = order.account, True
    if order.side is BUY:
        order.holding.buying += order.leaves
        amount = need(order.leaves, order.reserve_micros, venue.reserve_ppb)
        venue.events.append(reserve(account.account_id, account.cash, CASH, amount))
    else:
        posting = reserve(account.account_id, order.holding, order.accepted.symbol, order.leaves)
        venue.events.append(posting)


def uncover(venue: Venue, order: Order) -> None:
    """Gives the whole reservation back."""
    order.covered = False
    account, leaves = order.account, order.leaves
    if order.side is BUY:
        order.holding.buying -= leaves
        amount = need(leaves, order.reserve_micros, venue.reserve_ppb)
        venue.events.append(release(account.account_id, account.cash, CASH, amount))
    else:
        venue.events.append(release(account.account_id, order.holding, order.accepted[3], leaves))


def give_back(venue: Venue, order: Order, amount: int) -> None:
    if not amount:
        return
    account = order.account
    if order.side is BUY:
        venue.events.append(release(account.account_id, account.cash, CASH, amount))
    else:
        venue.events.append(release(account.account_id, order.holding, order.accepted.symbol, amount))


def cut_to(venue: Venue, order: Order, reserve_micros: int) -> None:
    """Lowers the price at which a covered buy reserves."""
    before = required(venue, order)
    order.reserve_micros = reserve_micros
    give_back(venue, order, before - required(venue, order))


def cover_anew(venue: Venue, order: Order, reserve_micros: int) -> None:
    """Makes the reservation of a covered order again, at another price."""
    if order.side is BUY and need(order.leaves, reserve_micros, venue.reserve_ppb) != required(venue, order):
        uncover(venue, order)
        order.reserve_micros = reserve_micros
        cover(venue, order)
    order.reserve_micros = reserve_micros


def leave(order: Order) -> int | None:
    """Takes an open order out of wherever it stands; the price at which it rested, None if it did not."""
    market, stage, order.stage = order.market, order.stage, Stage.CLOSED
    del order.account.orders[order.order_id]
    if stage is Stage.RESTING:
        own, _ = market.book.sides[order.side]
        del market.resting[order.place]
        if own.remove(order.place, order.price_micros) != order.leaves:
            raise InvariantError(f"order {order.order_id} and its book disagree on what it leaves")
        return order.price_micros
    if stage is Stage.WAITING:
        if order.waits_for_stop:
            market.stops.remove(order)
        else:
            del market.waiting_for_close[order.order_id]
    return None


def cancel(venue: Venue, order: Order, reason: CancelReason) -> None:
    """Ends an open order, then those who depend on it."""
    price_micros = leave(order)
    accepted = order.accepted
    venue.events.append(
        _canceled((order.order_id, accepted[1], accepted[3], order.side, price_micros, order.leaves, reason))
    )
    if order.covered:
        uncover(venue, order)
    if order.grouped:
        _end_dependents(venue, order, reason if reason is _SESSION_CLOSED else _GROUP)


def _end_dependents(venue: Venue, order: Order, reason: CancelReason) -> None:
    dependents = order.legs if order.sibling is None else (*order.legs, order.sibling)
    unlink(order)
    for other in dependents:
        if other.stage is not Stage.CLOSED:
            cancel(venue, other, reason)


def unlink(order: Order) -> None:
    """Nothing depends on the order any more, nor it on anything."""
    if order.sibling is not None:
        order.sibling.sibling = None
    if order.parent is not None:
        order.parent.legs = tuple(leg for leg in order.parent.legs if leg is not order)
    for leg in order.legs:
        leg.parent = None
    order.sibling, order.parent, order.legs = None, None, ()


def reduce(venue: Venue, order: Order, quantity: int, reason: CancelReason) -> None:
    """Takes ``quantity``, less than the leaves, away from an open order."""
    before = required(venue, order) if order.covered else 0
    order.leaves -= quantity
    order.reduced += quantity
    price_micros = None
    if order.stage is Stage.RESTING:
        price_micros = order.price_micros
        own, _ = order.market.book.sides[order.side]
        own.reduce(order.place, price_micros, quantity)
    accepted = order.accepted
    venue.events.append(
        OrderReduced(
            order.order_id,
            accepted.account_id,
            accepted.symbol,
            order.side,
            price_micros,
            quantity,
            order.leaves,
            reason,
        )
    )
    if order.covered:
        if order.side is BUY:
            order.holding.buying -= quantity
        give_back(venue, order, before - required(venue, order))
