"""Bugs to be sown into the real core, each a plausible slip in one small function, to see who finds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from trading.core import auction, funds, lifecycle, matching, placing, replacing, running_hash, state, trades
from trading.core.order_book import OrderBook
from trading.core.orders import Instrument, OrderId, Phase, Side
from trading.core.stops import WaitingStops
from trading.core.venue import Account, Order, Stage, Venue

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Bug:
    name: str
    sow: Callable[[Patch], None]

    def __str__(self) -> str:
        return self.name


def instead(owner: Any, function: str, wrong: Callable[..., Any]) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, function, wrong)


def nothing(*_: object, **__: object) -> None:
    return None


# Matching


def _forget_remainder(venue: Venue, taker: Order, *_: object) -> None:
    taker.stage = Stage.CLOSED
    del taker.account.orders[taker.order_id]


def _queue_again(venue: Venue, order: Order, created: Order) -> None:
    own, _ = order.market.book.sides[order.side]
    own.remove(order.place, order.price_micros)
    matching.rest(venue, created)


def _no_bands(_market: object, _side: Side, limit_micros: int, *_: object) -> int:
    return limit_micros


_decrement = matching._decrement


def _decrement_the_resting_one(venue: Venue, order: Order, quantity: int) -> None:
    if order.stage is Stage.RESTING:
        _decrement(venue, order, quantity)


def _count_own_orders(taker: Order, opposite: Any, limit_micros: int) -> int:
    return int(opposite.depth(limit_micros))


# Stops


def _elect_and_keep(self: WaitingStops, queue: list[tuple[int, OrderId]], rank: int) -> list[Order]:
    return [self._orders[order_id] for minus_or_price, order_id in queue if minus_or_price <= rank]


_trigger, _elect = matching._trigger, WaitingStops.elect


def _trigger_twice(venue: Venue, order: Order) -> None:
    wanted, trade_again = order.leaves, order.market.phase is Phase.CONTINUOUS
    _trigger(venue, order)
    if trade_again and order.stage is Stage.CLOSED and not order.leaves:
        order.leaves = wanted
        matching._trade_now(venue, order)


def _trigger_without_cascade(venue: Venue, order: Order) -> None:
    waiting = list(venue.follow_ups)
    _trigger(venue, order)
    venue.follow_ups.clear()
    venue.follow_ups.extend(waiting)


def _elect_by_price(self: WaitingStops, price_micros: int, moved: Any) -> list[Order]:
    return sorted(_elect(self, price_micros, moved), key=lambda order: -order.order_id)


# Auctions


_auction_price = auction.auction_price


def _nearest_to_nothing(instrument: Instrument, book: OrderBook, _reference_micros: int) -> tuple[int, int] | None:
    return _auction_price(instrument, book, 0)


# Money


_pay_fee, _move = trades._pay_fee, trades._move


def _fee_of_buyers_only(venue: Venue, payer: Order, fee: int) -> int:
    return _pay_fee(venue, payer, fee) if payer.side is Side.BUY else fee


def _lose_rounding(venue: Venue, payer: Account, payee: Account, amount: int, **more: Any) -> None:
    if payee is not venue.rounding_account:
        _move(venue, payer, payee, amount, **more)


def _lose_rounding_at_the_payee(venue: Venue, payer: Account, payee: Account, amount: int, **more: Any) -> None:
    _move(venue, payer, payee, amount, **more)
    if payee is venue.rounding_account:
        payee.cash.available -= amount


def _keep_reservation(venue: Venue, order: Order) -> None:
    order.covered = False


def _short_for_free(venue: Venue, account: Account, held: Any, quantity: int, market: Any) -> None:
    return None


def _power_without_shorts(venue: Venue, account: Account) -> int:
    return account.terms.multiplier * (account.cash.available + account.cash.reserved) - account.cash.reserved


# Groups


def _forget_sibling(venue: Venue, order: Order, quantity: int) -> None:
    if order.legs and not order.leaves:
        venue.follow_ups.append(order)


# State


_balance_row, _open_order_row = state.balance_row, state.open_order_row


def _row_without_reserved(account: Account, asset: str, held: Any) -> state.BalanceState:
    return _balance_row(account, asset, held)._replace(reserved=0)


def _row_without_mark(order: Order) -> state.OpenOrderState:
    return _open_order_row(order)._replace(high_water_micros=None)


def _hash_without_reservations(patch: Patch) -> None:
    patch.setattr(state, "balance_row", _row_without_reserved)
    patch.setattr(running_hash, "balance_row", _row_without_reserved)


def _no_collar(patch: Patch) -> None:
    patch.setattr(placing, "check_collar", nothing)
    patch.setattr(replacing, "check_collar", nothing)
    patch.setattr(placing, "_is_plainly_fine", lambda *_: False)


def _no_kill_switch(patch: Patch) -> None:
    def ignore(venue: Venue, account: Account, instrument: Instrument) -> object:
        killed, venue.killed, own, account.killed = venue.killed, False, account.killed, False
        try:
            return placing_permission(venue, account, instrument)
        finally:
            venue.killed, account.killed = killed, own

    placing_permission = placing.check_permission
    patch.setattr(placing, "check_permission", ignore)


MATCHING = [
    Bug("the remainder of an order that should rest is lost", instead(matching, "_keep", _forget_remainder)),
    Bug("a smaller order loses its place when it is replaced", instead(replacing, "_rest_in_place", _queue_again)),
    Bug("the bands bound nobody", instead(matching, "within_bands", _no_bands)),
    Bug("a decrement takes from one side only", instead(matching, "_decrement", _decrement_the_resting_one)),
    Bug("fill or kill counts the account's own orders", instead(matching, "_available", _count_own_orders)),
    Bug("an elected stop waits on", instead(WaitingStops, "_elect_fixed", _elect_and_keep)),
    Bug("a triggered stop fills twice", instead(matching, "_trigger", _trigger_twice)),
    Bug("a triggered stop elects no other", instead(matching, "_trigger", _trigger_without_cascade)),
    Bug("stops are elected youngest first", instead(WaitingStops, "elect", _elect_by_price)),
    Bug("an auction breaks ties by the lowest price", instead(auction, "auction_price", _nearest_to_nothing)),
    Bug("an exit that traded leaves the other one alone", instead(trades, "_tell_group", _forget_sibling)),
]
MONEY = [
    Bug("sellers pay no fee", instead(trades, "_pay_fee", _fee_of_buyers_only)),
    Bug("the residue of rounding is not charged", instead(trades, "_move", _lose_rounding)),
    Bug("the residue of rounding arrives nowhere", instead(trades, "_move", _lose_rounding_at_the_payee)),
    Bug("a canceled order keeps its reservation", instead(lifecycle, "uncover", _keep_reservation)),
    Bug("short sales need no buying power", instead(funds, "check_sale", _short_for_free)),
    Bug("buying power ignores what was sold short", instead(funds, "buying_power", _power_without_shorts)),
]
PERMISSION = [
    Bug("the collar is not checked", _no_collar),
    Bug("the kill switch is ignored", _no_kill_switch),
    Bug("the rate of orders is unlimited", instead(funds, "check_rate", nothing)),
    Bug("positions are unlimited", instead(funds, "check_position", nothing)),
]
STATE = [
    Bug("the hash does not cover reservations", _hash_without_reservations),
    Bug("a snapshot forgets how high the market was", instead(state, "open_order_row", _row_without_mark)),
]
